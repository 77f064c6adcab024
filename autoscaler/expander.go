package autoscaler

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// The names of the expanders, as in --expander.
const (
	// LeastWaste prefers the pool whose new nodes would have the least CPU and memory left over.
	LeastWaste = "least-waste"
	// MostPods prefers the pool that would run the most of the pods.
	MostPods = "most-pods"
	// LeastNodes prefers the pool that would need the fewest nodes.
	LeastNodes = "least-nodes"
	// Random prefers any. The same pods and pools always give the same choice.
	Random = "random"
	// Price prefers the pool whose new nodes cost the least for what they would run.
	Price = "price"
	// Priority prefers the pool with the highest number in the ConfigMap [cluster.PriorityExpander].
	Priority = "priority"
	// GRPC prefers what a program outside the daemon does, which is asked by gRPC.
	GRPC = "grpc"
)

// option is what a family of like pools could do for pods that find no room. The pool that is in the name of the others is the first.
type option struct {
	scheduling.Estimate
	pools []*cluster.Pool
	// lot is the option's number if chance decides, size how large its smallest pool is to be without it.
	lot  float64
	size int
	// cut says that it needs all nodes that bounds on the whole cluster leave it, if not more.
	cut bool
}

// rejected is an option that was not chosen.
type rejected struct {
	nodes, pods int
	best        string
	// family are the pools of the option.
	family []*cluster.Pool
}

// why is what is said about one of the pools that does not grow, though its option may have been the best.
func (r rejected) why(p *pass) string {
	if !slices.ContainsFunc(r.family, func(like *cluster.Pool) bool { return like.Name == r.best }) {
		return r.String()
	}
	for _, like := range r.family {
		if p.growths[like.Name] != nil {
			return fmt.Sprintf("pool %s, which is like it, grows instead", like.Name)
		}
	}
	return "new nodes of it could stay empty: those of other pools take the pods if they come first"
}

// String is what is said about its pools.
func (r rejected) String() string {
	return fmt.Sprintf("%s would take %s, but the expander preferred pool %s", count(r.nodes, "new node", "new nodes"), count(r.pods, "pod", "pods"), r.best)
}

// expander makes the judge of some options.
type expander func(p *pass, options []option) judge

// judge gives an option a score: the lowest is the best.
type judge func(o option) float64

// alone is the expander that looks at each option by itself.
func alone(j judge) expander { return func(*pass, []option) judge { return j } }

// Expanders are the names of all expanders, in order.
func Expanders() []string { return slices.Sorted(maps.Keys(expanders())) }

func expanders() map[string]expander {
	return map[string]expander{
		LeastWaste: alone(waste),
		MostPods:   alone(func(o option) float64 { return -float64(o.Pods) }),
		LeastNodes: alone(func(o option) float64 { return float64(o.Nodes) }),
		Random:     alone(func(o option) float64 { return o.lot }),
		Price:      byPrice,
		Priority:   byPriority,
		GRPC:       byGRPC,
	}
}

// expandersOf reads the value of --expander.
func expandersOf(list string) (names []string, chain []expander, err error) {
	all := expanders()
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		e, ok := all[name]
		if !ok {
			return nil, nil, fmt.Errorf("--expander: there is no expander %q; choose one or more of %s, separated by commas", name, strings.Join(Expanders(), ", "))
		}
		names, chain = append(names, name), append(chain, e)
	}
	return names, chain, nil
}

// options are what each family of pools that may grow could do for the classes. Within a family the pools are in the order in which they are to be
// taken where they are equally large.
func (p *pass) options(classes []scheduling.Class, open []*cluster.Pool) []option {
	offers := p.offers(open)
	families := p.families(open, offers)
	all := make([]option, len(families))
	groups := make([]scheduling.Family, len(families))
	for i, family := range families {
		o := &all[i]
		o.size, o.lot = offers[family[0]].Size, 1<<32
		for _, at := range family {
			o.pools = append(o.pools, open[at])
			groups[i].Offers = append(groups[i].Offers, offers[at])
			o.size = min(o.size, offers[at].Size)
		}
		if slices.Contains(p.a.names, Random) {
			slices.SortStableFunc(o.pools, func(a, b *cluster.Pool) int { return cmp.Compare(lot(a, classes), lot(b, classes)) })
			o.lot = lot(o.pools[0], classes)
		}
		groups[i].Most = p.roomOf(o.pools)
	}
	for i, estimate := range p.trial.Estimates(classes, groups) {
		all[i].Estimate, all[i].cut = estimate, estimate.Nodes == groups[i].Most
	}
	return slices.DeleteFunc(all, func(o option) bool { return o.Pods == 0 })
}

// choose is the best option. What no expander decides goes to the pool that is smallest, which keeps like pools in balance, and then by name.
func choose(options []option, judges []judge) option {
	for _, score := range judges {
		options = best(options, score)
	}
	return slices.MinFunc(options, func(a, b option) int {
		return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(a.pools[0].Name, b.pools[0].Name))
	})
}

// judges are those of the expanders of the chain. Before all but priorities, which people give, comes the one that leaves no pods out for nothing.
func (p *pass) judges(options []option) []judge {
	var first, all []judge
	for i, e := range p.a.expanders {
		if p.a.names[i] == Priority && len(all) == 0 {
			first = append(first, e(p, options))
			continue
		}
		all = append(all, e(p, options))
	}
	return slices.Concat(first, []judge{uncut(options)}, all)
}

// uncut finds worse what would use up a bound on the whole cluster and yet run fewer pods than something else does: large machines for pods that each want
// a node to themselves.
func uncut(options []option) judge {
	most := 0
	for i := range options {
		most = max(most, options[i].Pods)
	}
	return func(o option) float64 {
		if o.cut && o.Pods < most {
			return 1
		}
		return 0
	}
}

// best are the options with the lowest score.
func best(options []option, score judge) []option {
	var best []option
	lowest := 0.0
	for _, o := range options {
		s := score(o)
		if len(best) == 0 || s < lowest {
			best, lowest = nil, s
		}
		if s == lowest {
			best = append(best, o)
		}
	}
	return best
}

// waste is the share of the new nodes' CPU that nobody asked for, plus the share of memory. What DaemonSets take counts as waste.
func waste(o option) float64 {
	sum := 0.0
	for i := range o.Has {
		if o.Has[i] > 0 {
			sum += float64(o.Has[i]-o.Asked[i]) / float64(o.Has[i])
		}
	}
	return sum
}

// lot draws a number by the pool and the first pod.
func lot(pool *cluster.Pool, classes []scheduling.Class) float64 {
	sum := sha256.Sum256([]byte(pool.Name + "/" + string(classes[0].Pods[0].UID)))
	return float64(binary.BigEndian.Uint32(sum[:]))
}
