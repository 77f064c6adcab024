package app

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
)

// priceAge is for how long an answer about a price counts: a provider is asked for each pool, and may have to ask its cloud.
const priceAge = 10 * time.Minute

// prices are what providers said that a node of each pool costs an hour, where the pool's template doesn't tell.
type prices struct {
	mutex sync.Mutex
	known map[string]price // by pool
}

// price is the last good answer, 0 if there was none, and when it was last asked for.
type price struct {
	hourly float64
	asked  time.Time
}

// fill writes the price of a new node into the template of a pool, if its provider can tell it. That it can't is no problem of the pool's: then nodes are compared by what
// they have.
func (p *prices) fill(ctx context.Context, provider cloudprovider.CloudProvider, pool *cluster.Pool, now time.Time) {
	pricer, ok := cloudprovider.As[cloudprovider.Pricer](provider)
	if !ok || pool.Template == nil || pool.Template.Node == nil || pool.Template.Price > 0 {
		return
	}
	p.mutex.Lock()
	last, asked := p.known[pool.Name]
	p.mutex.Unlock()
	if age := now.Sub(last.asked); !asked || age < 0 || age >= priceAge {
		last.asked = now
		hourly, err := pricer.NodePrice(ctx, pool.Template.Node, now, now.Add(time.Hour))
		if err == nil && hourly >= 0 && !math.IsInf(hourly, 0) && !math.IsNaN(hourly) {
			last.hourly = hourly
		}
		p.mutex.Lock()
		if p.known == nil {
			p.known = map[string]price{}
		}
		p.known[pool.Name] = last
		p.mutex.Unlock()
	}
	if last.hourly > 0 {
		priced := *pool.Template // the provider may keep the template that it gave
		priced.Price = last.hourly
		pool.Template = &priced
	}
}
