package simulation

import (
	"fmt"
	"maps"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

// Workload is what a test or a story says about a set of pods.
type Workload struct {
	// Namespace is default if empty.
	Namespace, Name string
	Replicas        int
	// CPU and Memory are the requests of each pod, such as 500m and 1Gi; none if empty.
	CPU, Memory string
	// Labels of the pods; app=<name> is added, and is the selector.
	Labels map[string]string
	// Disk gives each pod of a StatefulSet a disk of its own, which only one node can have at a time.
	Disk bool
	// Shape changes the pod template as it likes, after all else is filled in.
	Shape func(*corev1.PodTemplateSpec)
	// MinAvailable or MaxUnavailable, as number or percent, make a budget of the same name; none if both are empty.
	MinAvailable, MaxUnavailable string
	// Behaviour is how the pods behave on their nodes.
	Behaviour Behaviour
}

// Behaviour is how pods behave on their nodes. A zero duration is the world's own.
type Behaviour struct {
	// Start and Ready are how long a pod takes to run and then to become ready, Stop how long it takes to end once it is told so.
	Start, Ready, Stop time.Duration
	// NeverReady pods run and are never ready.
	NeverReady bool
	// Lasts is how long a pod runs before it ends well by itself; zero is for ever.
	Lasts time.Duration
}

// workloads makes workloads, and knows how their pods behave.
type workloads struct {
	w         *World
	behaviour map[types.UID]Behaviour
	held      map[string]bool
}

func newWorkloads(w *World) *workloads {
	return &workloads{w: w, behaviour: map[types.UID]Behaviour{}, held: map[string]bool{}}
}

func (l *workloads) saw(Change) {}

// of is how a pod behaves.
func (l *workloads) of(pod *corev1.Pod) Behaviour {
	if owner := metav1.GetControllerOf(pod); owner != nil {
		return l.behaviour[owner.UID]
	}
	return l.behaviour[pod.UID]
}

// template is the pod template of the workload, filled in.
func (o *Workload) template() corev1.PodTemplateSpec {
	requests := corev1.ResourceList{}
	if o.CPU != "" {
		requests[corev1.ResourceCPU] = resource.MustParse(o.CPU)
	}
	if o.Memory != "" {
		requests[corev1.ResourceMemory] = resource.MustParse(o.Memory)
	}
	labels := map[string]string{"app": o.Name}
	maps.Copy(labels, o.Labels)
	t := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "main", Image: "registry.example/" + o.Name + ":1", Resources: corev1.ResourceRequirements{Requests: requests},
		}}},
	}
	if o.Shape != nil {
		o.Shape(&t)
	}
	return t
}

func (o *Workload) meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: ptr.Deref(nonEmpty(o.Namespace), metav1.NamespaceDefault), Name: o.Name}
}

func (o *Workload) selector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": o.Name}}
}

func nonEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// must ends the run: what the caller asked of the world can't be done.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("simulation: %v", err))
	}
	return v
}

// Deploy makes a ReplicaSet, with a budget if the workload wants one. It panics if there is one of that name.
func (w *World) Deploy(o Workload) *appsv1.ReplicaSet {
	rs := must(create(w.Store, &appsv1.ReplicaSet{
		ObjectMeta: o.meta(),
		Spec:       appsv1.ReplicaSetSpec{Replicas: ptr.To(int32(o.Replicas)), Selector: o.selector(), Template: o.template()},
	}))
	w.workloads.behaviour[rs.UID] = o.Behaviour
	w.budget(o)
	w.Log.add(Brief, "replicaset %s/%s created with %d replicas", rs.Namespace, rs.Name, o.Replicas)
	return rs
}

// DeployStateful makes a StatefulSet: its pods have the names <name>-0, <name>-1 and so on, and never exist twice.
func (w *World) DeployStateful(o Workload) *appsv1.StatefulSet {
	spec := appsv1.StatefulSetSpec{Replicas: ptr.To(int32(o.Replicas)), Selector: o.selector(), Template: o.template()}
	if o.Disk {
		spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "data"}}}
	}
	set := must(create(w.Store, &appsv1.StatefulSet{ObjectMeta: o.meta(), Spec: spec}))
	w.workloads.behaviour[set.UID] = o.Behaviour
	w.budget(o)
	w.Log.add(Brief, "statefulset %s/%s created with %d replicas", set.Namespace, set.Name, o.Replicas)
	return set
}

// DeployDaemon makes a DaemonSet; Replicas is not looked at.
func (w *World) DeployDaemon(o Workload) *appsv1.DaemonSet {
	set := must(create(w.Store, &appsv1.DaemonSet{
		ObjectMeta: o.meta(), Spec: appsv1.DaemonSetSpec{Selector: o.selector(), Template: o.template()},
	}))
	w.workloads.behaviour[set.UID] = o.Behaviour
	w.budget(o)
	w.Log.add(Brief, "daemonset %s/%s created", set.Namespace, set.Name)
	return set
}

// RunPods makes Replicas bare pods, <name>-1 and so on, without a controller.
func (w *World) RunPods(o Workload) {
	t := o.template()
	for i := range o.Replicas {
		pod := &corev1.Pod{ObjectMeta: *t.ObjectMeta.DeepCopy(), Spec: *t.Spec.DeepCopy()}
		pod.Namespace, pod.Name = o.meta().Namespace, fmt.Sprintf("%s-%d", o.Name, i+1)
		made := must(create(w.Store, pod))
		w.workloads.behaviour[made.UID] = o.Behaviour
	}
	w.budget(o)
	w.Log.add(Brief, "%d bare pods %s/%s created", o.Replicas, o.meta().Namespace, o.Name)
}

// budget makes the workload's budget.
func (w *World) budget(o Workload) {
	if o.MinAvailable == "" && o.MaxUnavailable == "" {
		return
	}
	spec := policyv1.PodDisruptionBudgetSpec{Selector: o.selector()}
	if o.MinAvailable != "" {
		spec.MinAvailable = ptr.To(intstr.Parse(o.MinAvailable))
	}
	if o.MaxUnavailable != "" {
		spec.MaxUnavailable = ptr.To(intstr.Parse(o.MaxUnavailable))
	}
	must(create(w.Store, &policyv1.PodDisruptionBudget{ObjectMeta: o.meta(), Spec: spec}))
}

// SetReplicas scales a ReplicaSet or StatefulSet, as kubectl scale does.
func (w *World) SetReplicas(namespace, name string, replicas int) {
	size := ptr.To(int32(replicas))
	if rs, err := find[*appsv1.ReplicaSet](w.Store, namespace, name); err == nil {
		change(w.Store, rs, func(c *appsv1.ReplicaSet) { c.Spec.Replicas = size; c.Generation++ })
	} else {
		set := must(find[*appsv1.StatefulSet](w.Store, namespace, name))
		change(w.Store, set, func(c *appsv1.StatefulSet) { c.Spec.Replicas = size; c.Generation++ })
	}
	w.Log.add(Brief, "%s/%s scaled to %d replicas", namespace, name, replicas)
}

// HoldUnready makes a running pod unready until it is let go of again.
func (w *World) HoldUnready(namespace, name string, hold bool) {
	pod := must(find[*corev1.Pod](w.Store, namespace, name))
	w.workloads.held[string(pod.UID)] = hold
	w.Log.add(Brief, "pod %s/%s is made ready: %v", namespace, name, !hold)
	w.kubelets.look(pod.Spec.NodeName)
}

// Budgets are the PodDisruptionBudgets as they are now, in the order of their keys. They are not to be changed.
func (w *World) Budgets() []*policyv1.PodDisruptionBudget {
	var all []*policyv1.PodDisruptionBudget
	for budget := range each[*policyv1.PodDisruptionBudget](w.Store) {
		all = append(all, budget)
	}
	return all
}
