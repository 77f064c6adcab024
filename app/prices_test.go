package app

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
)

// pricedCloud is a cloud that tells prices.
type pricedCloud struct {
	*cloud
	hourly float64
	err    error
	asked  int
}

func (c *pricedCloud) NodePrice(_ context.Context, _ *corev1.Node, start, end time.Time) (float64, error) {
	c.asked++
	return c.hourly * end.Sub(start).Hours(), c.err
}

func (c *pricedCloud) PodPrice(context.Context, *corev1.Pod, time.Time, time.Time) (float64, error) {
	return 0, c.err
}

func TestWhereATemplateHasNoPriceTheProviderIsAskedNowAndThen(t *testing.T) {
	c, _ := oneGroup("a://1")
	priced := &pricedCloud{cloud: c}
	p := newPicture(t, c)
	for _, step := range []struct {
		name   string
		after  time.Duration
		hourly float64
		err    error
		want   float64
		asked  int
	}{
		{"at first", 0, 0.5, nil, 0.5, 1},
		{"soon after", time.Minute, 0.7, nil, 0.5, 1},
		{"when the answer is old", priceAge, 0.7, nil, 0.7, 2},
		{"when it fails, the last answer counts", 2 * priceAge, 0, errors.New("the list of prices is closed"), 0.7, 3},
		{"what is no price is none", 3 * priceAge, math.NaN(), nil, 0.7, 4},
		{"and it is asked again", 4 * priceAge, 0.4, nil, 0.4, 5},
	} {
		priced.hourly, priced.err = step.hourly, step.err
		o := p.reader.read(t.Context(), priced, p.cluster.Snapshot(), func() time.Time { return start.Add(step.after) })
		if pool := o.Pools[0]; pool.Problem != "" || pool.Template.Price != step.want || priced.asked != step.asked {
			t.Errorf("%s: the price is %v, asked for %d times, problem %q; want %v and %d", step.name, pool.Template.Price, priced.asked, pool.Problem, step.want, step.asked)
		}
	}
}

func TestAPriceInATemplateIsTheLastWord(t *testing.T) {
	priced := &pricedCloud{cloud: &cloud{name: "a"}, hourly: 0.5}
	pool := &cluster.Pool{Name: "front", Template: &cloudprovider.Template{Node: &corev1.Node{}, Price: 0.2}}
	new(prices).fill(t.Context(), priced, pool, start)
	if pool.Template.Price != 0.2 || priced.asked != 0 {
		t.Errorf("the price is %v, asked for %d times", pool.Template.Price, priced.asked)
	}
}
