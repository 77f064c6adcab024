package example_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/conformance"
	"github.com/poolkeeper/poolkeeper/cloudprovider/example"
)

func TestTheExampleIsAProvider(t *testing.T) {
	conformance.Run(t, conformance.Harness{New: func(conformance.TB) conformance.Fixture {
		c := &cloud{fleets: []example.Fleet{
			{Name: "front", Min: 1, Max: 6, Wanted: 3, CPU: "4", Memory: "16Gi"}, {Name: "back", Min: 1, Max: 6, Wanted: 3, CPU: "4", Memory: "16Gi"},
		}}
		connect := func() cloudprovider.CloudProvider { return example.New(c) }
		return conformance.Fixture{
			Provider: connect(), Group: "front", Other: "back", Settle: c.settle, Reconnect: connect,
			Reads:    func() int { return c.reads },
			Break:    func(broken bool) { c.away = broken },
			Vanish:   c.vanish,
			Withhold: func() { c.withheld = true },
			FailCreation: func(class cloudprovider.Class) {
				c.broken = map[cloudprovider.Class]string{cloudprovider.ClassOutOfResources: "stock", cloudprovider.ClassQuota: "quota"}[class]
			},
			Lose: func() { c.lost = true },
		}
	}})
}

// cloud is the made-up cloud in memory.
type cloud struct {
	mutex    sync.Mutex
	fleets   []example.Fleet
	reads    int
	away     bool
	withheld bool
	lost     bool
	broken   string
}

// enter begins a request.
func (c *cloud) enter(ctx context.Context) (leave func(), err error) {
	c.mutex.Lock()
	if err = ctx.Err(); err == nil && c.away {
		err = errors.New("502 bad gateway")
	}
	if err != nil {
		c.mutex.Unlock()
	}
	return c.mutex.Unlock, err
}

func (c *cloud) find(fleet string) (*example.Fleet, error) {
	for i := range c.fleets {
		if c.fleets[i].Name == fleet {
			return &c.fleets[i], nil
		}
	}
	return nil, example.ErrGone
}

func (c *cloud) List(ctx context.Context) ([]example.Fleet, error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	c.reads++
	list := slices.Clone(c.fleets)
	for i := range list {
		list[i].Machines = slices.Clone(list[i].Machines)
	}
	return list, nil
}

func (c *cloud) Resize(ctx context.Context, fleet string, from, to int) error {
	return c.write(ctx, fleet, func(f *example.Fleet) error {
		switch {
		case f.Wanted != from:
			return example.ErrChanged
		case to < from && to < len(f.Machines):
			return example.ErrBusy
		}
		f.Wanted = to
		return nil
	})
}

func (c *cloud) Delete(ctx context.Context, fleet string, number int) error {
	return c.write(ctx, fleet, func(f *example.Fleet) error {
		at := slices.IndexFunc(f.Machines, func(m example.Machine) bool { return m.Number == number })
		if at < 0 {
			return example.ErrGone
		}
		f.Machines = slices.Delete(f.Machines, at, at+1)
		f.Wanted--
		return nil
	})
}

func (c *cloud) write(ctx context.Context, fleet string, change func(*example.Fleet) error) error {
	leave, err := c.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	f, err := c.find(fleet)
	if err == nil {
		err = change(f)
	}
	if err == nil && c.lost {
		c.lost = false
		return context.DeadlineExceeded
	}
	return err
}

func (c *cloud) Has(ctx context.Context, fleet string, number int) (bool, error) {
	leave, err := c.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	f, err := c.find(fleet)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(f.Machines, func(m example.Machine) bool { return m.Number == number }), nil
}

// settle makes the machines that are missing, and starts those that there are.
func (c *cloud) settle() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for i := range c.fleets {
		f := &c.fleets[i]
		for j := range f.Machines {
			f.Machines[j].Running = f.Machines[j].Broken == ""
		}
		for len(f.Machines) < f.Wanted && !c.withheld {
			f.Last++
			made := time.Date(2026, 8, 3, 0, 0, f.Last, 0, time.UTC)
			f.Machines = append(f.Machines, example.Machine{Number: f.Last, Made: made, Broken: c.broken})
		}
	}
}

func (c *cloud) vanish(id string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for i := range c.fleets {
		f := &c.fleets[i]
		f.Machines = slices.DeleteFunc(f.Machines, func(m example.Machine) bool { return id == fmt.Sprintf("example://%s/%d", f.Name, m.Number) })
	}
}
