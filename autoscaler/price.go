package autoscaler

import (
	"math"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// byPrice prefers the option whose new nodes cost the least for what they would run: their price an hour over the share of the work that they would
// do, which is the mean of their shares of the CPU, the memory and the number of the pods that any option could run. So a cheap node that runs a few of
// the pods doesn't win against one that runs all of them at less for each. An option of which a pool has no price comes after all that have one.
//
// It is not the cluster-autoscaler's formula, which bends prices towards a size of machines that it finds fit for the size of the cluster.
func byPrice(_ *pass, options []option) judge {
	var most [3]float64
	for i := range options {
		for k, n := range done(&options[i]) {
			most[k] = max(most[k], n)
		}
	}
	return func(o option) float64 {
		price, known := o.price()
		if !known {
			return math.Inf(1)
		}
		share, kinds := 0.0, 0.0
		for k, n := range done(&o) {
			if most[k] > 0 {
				share, kinds = share+n/most[k], kinds+1
			}
		}
		if share <= 0 {
			return math.Inf(1)
		}
		return price * float64(o.Nodes) * kinds / share
	}
}

// done is what an option would run: CPU, memory and pods.
func done(o *option) [3]float64 {
	return [3]float64{float64(o.Asked[0]), float64(o.Asked[1]), float64(o.Pods)}
}

// price is what a node of the option costs an hour, the dearest if its pools differ; known is false if one of them has no price.
func (o *option) price() (price float64, known bool) {
	for _, pool := range o.pools {
		own := priceOf(pool)
		if own <= 0 {
			return 0, false
		}
		price = max(price, own)
	}
	return price, len(o.pools) > 0
}

// priceOf is what a node of the pool costs an hour; 0 if the provider doesn't tell.
func priceOf(pool *cluster.Pool) float64 {
	if pool.Template == nil {
		return 0
	}
	return pool.Template.Price
}
