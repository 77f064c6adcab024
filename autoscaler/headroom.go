package autoscaler

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/plan/reason"
	"github.com/poolkeeper/poolkeeper/scheduling"
)

// Headroom is room that is kept free without anything to fill it: pods are imagined, and nodes are there for them as if they existed. Pods that exist have
// it as soon as they come, and then it is made anew.

// Headroom is room for so many pods of a shape (--headroom, or headroom in the file).
type Headroom struct {
	// Name is what people call it.
	Name string
	// Pods is how many pods of the template there is always to be room for.
	Pods int
	// Template is what such a pod asks for.
	Template corev1.PodTemplateSpec
}

// HeadroomOf is a headroom for pods of which nothing but their size is known.
func HeadroomOf(name string, room cluster.Room) Headroom {
	return Headroom{Name: name, Pods: room.Pods, Template: askFor(room.Asks)}
}

// askFor is the template of a pod that asks for so much.
func askFor(asks corev1.ResourceList) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "room", Resources: corev1.ResourceRequirements{Requests: asks}}}}}
}

// headroomNamespace is where the imagined pods of headrooms seem to be.
const headroomNamespace = "headroom"

// lowest is the priority of imagined pods: all others come first.
const lowest = math.MinInt32

// slices of a node is how many imagined pods fill a new node of a pool that keeps a share of itself free.
const slicesOfANode = 10

// keepsHeadroom tells whether any room is to be kept free, and may be now.
func (p *pass) keepsHeadroom() bool {
	wanted := len(p.opts.Headroom) > 0
	for pool := range p.s.Pools.Values() {
		wanted = wanted || share(pool.Settings.Headroom, 100) > 0 || len(pool.Settings.HeadroomPods) > 0
	}
	if wanted && len(p.s.Ledger.Breakers()) > 0 {
		p.sayOnce(reason.BreakerOpen, headroomNamespace, "no nodes are added to keep room free while a breaker is open: an outage must not replace the fleet under another name")
		return false
	}
	return wanted
}

// makeHeadroom sees to it that there is room for the imagined pods beside all that exist: on nodes that are there, on those that come, and else on new ones. It
// comes after what pods that exist are promised has been played through: no scheduler will ever place these.
func (p *pass) makeHeadroom(passedOver map[string]rejected) {
	if !p.keepsHeadroom() {
		return
	}
	for i := range p.opts.Headroom {
		h := &p.opts.Headroom[i]
		classes := scheduling.Classes(p.imaginedFor(h))
		left := p.placeOn(classes, p.wellUsed(), p.trial.Where(p.isUsable), p.trial.Where(p.isComing), p.trial.Where(p.isFresh))
		if !p.gathers && !p.paced() {
			p.lacking(h.Name, p.growByTier(left, passedOver))
		}
	}
	for pool := range p.s.Pools.Values() {
		p.keepRoomIn(pool)
	}
	p.promise(nil)
}

// wellUsed are the nodes that run pods which are no mere part of a node: what is kept free there keeps no other node from being removed.
func (p *pass) wellUsed() *scheduling.Set {
	return p.trial.Where(func(node string) bool {
		i := p.usable.row(node)
		return i >= 0 && p.usable.in[i] && p.memos[i].use.worst >= 0.5
	})
}

// imaginedFor are the pods of a headroom.
func (p *pass) imaginedFor(h *Headroom) []*cluster.Pod {
	if h.Pods <= 0 {
		return nil
	}
	model := p.model(h.Name, h.Template)
	pods := make([]*cluster.Pod, h.Pods)
	for i := range pods {
		pods[i] = p.imagine(model, fmt.Sprintf("%s-%d", h.Name, i+1))
	}
	return pods
}

// model is a pod of a headroom.
func (p *pass) model(name string, template corev1.PodTemplateSpec) *cluster.Pod {
	priority, yes := int32(lowest), true
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: headroomNamespace, Name: name, CreationTimestamp: metav1.NewTime(p.now),
		OwnerReferences: []metav1.OwnerReference{{Kind: "Headroom", Name: name, UID: types.UID("headroom/" + name), Controller: &yes}},
	}, Spec: *template.Spec.DeepCopy()}
	pod.Labels, pod.Spec.Priority, pod.Spec.SchedulerName = template.Labels, &priority, corev1.DefaultSchedulerName
	return cluster.PodOf(pod)
}

// share is a number, or a percentage of another one.
func share(of intstr.IntOrString, n int) float64 {
	if of.Type == intstr.Int {
		return float64(of.IntVal)
	}
	percent, err := intstr.GetScaledValueFromIntOrPercent(&of, 100, true)
	if err != nil {
		return 0 // the configuration refuses it
	}
	return float64(percent) * float64(n) / 100
}

// keepRoomIn keeps free what the pool's own settings ask for: a share of it, and room for pods of certain sizes.
func (p *pass) keepRoomIn(pool *cluster.Pool) {
	shape, known := p.shape(pool.Name)
	if !known || !pool.Settings.Autoscale || pool.Problem != "" {
		return
	}
	if nodes := share(pool.Settings.Headroom, p.sizes[pool.Name].Peak+p.asked(pool)); nodes > 0 {
		p.keepRoom(pool, pool.Settings.Headroom.String(), p.imaginedIn(pool, "share", shareOf(&shape, nodes)))
	}
	for i, room := range pool.Settings.HeadroomPods {
		p.keepRoom(pool, room.String(), p.imaginedIn(pool, strconv.Itoa(i+1), room))
	}
}

// shareOf is room as large as so many new nodes: for pods that are each a tenth of what such a node has for pods.
func shareOf(shape *scheduling.Shape, nodes float64) cluster.Room {
	free := freeOf(shape)
	return cluster.Room{Pods: int(math.Ceil(nodes*slicesOfANode - 1e-9)), Asks: corev1.ResourceList{
		corev1.ResourceCPU:    *resource.NewMilliQuantity(free.Cpu().MilliValue()/slicesOfANode, resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(free.Memory().Value()/slicesOfANode, resource.BinarySI),
	}}
}

// imaginedIn are the pods of a room that one pool keeps free. Its taints are for other pods to mind.
func (p *pass) imaginedIn(pool *cluster.Pool, name string, room cluster.Room) []scheduling.Class {
	template := askFor(room.Asks)
	template.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	model := p.model("of-pool-"+strings.ReplaceAll(pool.Name, "/", "-")+"-"+name, template)
	pods := make([]*cluster.Pod, room.Pods)
	for i := range pods {
		pods[i] = p.imagine(model, fmt.Sprintf("%s-%d", model.Name, i+1))
	}
	return scheduling.Classes(pods)
}

// keepRoom places the imagined pods of a pool on its own nodes, and grows it for the others. The room is as people have asked for it.
func (p *pass) keepRoom(pool *cluster.Pool, room string, classes []scheduling.Class) {
	own := func(node string) bool {
		if i := p.usable.row(node); i >= 0 {
			return p.usable.in[i] && p.s.Rows[i].Pool == pool.Name
		}
		if g := p.fresh[node]; g != nil {
			return g.pool.Name == pool.Name
		}
		return p.isComing(node) && strings.HasPrefix(node, pool.Name+"-coming-")
	}
	left := p.placeOn(classes, p.trial.Where(own))
	if len(left) == 0 || p.gathers || p.paced() {
		return
	}
	lacks := func(why reason.Reason, message string, due time.Time) {
		p.sayUntil(plan.Pool, pool.Name, why, fmt.Sprintf("the room that it is to keep free (%s) is not there, but %s", room, message), due)
	}
	if why, message, due := p.closed(pool); why != "" {
		lacks(why, message, due)
		return
	}
	shape, _ := p.shape(pool.Name) // an open pool has one
	if misfit := p.trial.Refuses([]*cluster.Pod{left[0].Pods[0]}, shape)[0]; misfit != nil {
		lacks(reason.MisfitsPool, "a new node would not help: "+misfit.Message, time.Time{})
		return
	}
	p.rounds++
	p.take(p.trial.Pack(left, p.offers([]*cluster.Pool{pool}), scheduling.Limits{Most: p.roomOf([]*cluster.Pool{pool}), Spent: p.spent}))
}

// lacking says why a headroom has less room than it is to have.
func (p *pass) lacking(name string, left []scheduling.Class) {
	if len(left) == 0 || p.spent() {
		return
	}
	pools, _ := p.refusals(left)
	why, message := conclude(pools[0])
	if slices.ContainsFunc(pools[0], func(v plan.PoolVerdict) bool { return v.Reason == "" }) {
		return // its turn is in the next pass
	}
	p.sayOnce(why, headroomNamespace+"/"+name, fmt.Sprintf("headroom %s lacks room for %s: %s", name, count(pods(left), "pod", "pods"), message))
}
