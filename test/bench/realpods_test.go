package bench

import (
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
)

// A cluster as people have it: of the 30 pods of a node 25 belong to Deployments of a hundred pods, four to DaemonSets, and one is static. A pod
// is some 6 KB on the wire.
const (
	deployedPerNode = 25
	daemonsPerNode  = 4
	podsPerKind     = 100
	revisions       = 10
)

// everything is all that informers ask for in a cluster of so many nodes.
func everything(nodes int) map[string]servedKind {
	kinds := max(nodes*deployedPerNode/podsPerKind, 1)
	core, apps, storage := corev1.SchemeGroupVersion, appsv1.SchemeGroupVersion, storagev1.SchemeGroupVersion
	pods := nodes * podsPerNode
	onlyOnce := func(object func(i int) runtime.Object) func(i, minute int) runtime.Object {
		return func(i, _ int) runtime.Object { return object(i) }
	}
	return map[string]servedKind{
		"/api/v1/nodes": {version: core, list: &corev1.NodeList{}, many: nodes, object: realNode, changed: func(minute int) []int {
			return every(nodes, 5, minute) // a kubelet writes its node every five minutes
		}},
		"/api/v1/pods": {version: core, list: &corev1.PodList{}, many: pods, object: realPod, changed: func(minute int) []int {
			return every(pods, 100, minute)
		}},
		"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases": {
			version: coordinationv1.SchemeGroupVersion, list: &coordinationv1.LeaseList{}, many: nodes, object: realLease,
			changed: func(minute int) []int { return every(nodes, 1, minute) },
		},
		"/apis/coordination.k8s.io/v1/leases": {version: coordinationv1.SchemeGroupVersion, list: &coordinationv1.LeaseList{}, object: realLease},
		"/apis/apps/v1/replicasets":           {version: apps, list: &appsv1.ReplicaSetList{}, many: kinds * revisions, object: onlyOnce(realReplicaSet)},
		"/apis/apps/v1/daemonsets": {version: apps, list: &appsv1.DaemonSetList{}, many: daemonsPerNode, object: onlyOnce(func(i int) runtime.Object {
			return DaemonSet(daemonName(i), Pod("x", Asks("50m", "64Mi"), Tolerate("")))
		})},
		"/apis/apps/v1/statefulsets": {version: apps, list: &appsv1.StatefulSetList{}, object: onlyOnce(func(int) runtime.Object { return StatefulSet("s", 1) })},
		"/apis/policy/v1/poddisruptionbudgets": {
			version: policyv1.SchemeGroupVersion, list: &policyv1.PodDisruptionBudgetList{}, many: kinds / 4,
			object: onlyOnce(func(i int) runtime.Object {
				return Budget("shop/"+realKind(i), "app.kubernetes.io/name", realKind(i), 1)
			}),
		},
		"/api/v1/namespaces": {version: core, list: &corev1.NamespaceList{}, many: 1, object: onlyOnce(func(int) runtime.Object { return Namespace("shop") })},
		"/apis/storage.k8s.io/v1/csinodes": {version: storage, list: &storagev1.CSINodeList{}, many: nodes, object: onlyOnce(func(i int) runtime.Object {
			return &storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: nodeName(i)}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
				{Name: "block.csi.example", NodeID: nodeName(i), TopologyKeys: []string{"topology.block.csi.example/zone"}, Allocatable: &storagev1.VolumeNodeResources{Count: new(int32(25))}},
			}}}
		})},
	}
}

// every are all numbers below n that are due in a minute if each is once in so many minutes.
func every(n, minutes, minute int) []int {
	var out []int
	for i := minute % minutes; i < n; i += minutes {
		out = append(out, i)
	}
	return out
}

func setItems(list runtime.Object, items []runtime.Object) error { return meta.SetList(list, items) }

func nodeName(i int) string   { return fmt.Sprintf("node-%05d.eu-west.compute.internal", i) }
func realKind(i int) string   { return fmt.Sprintf("app-%04d", i) }
func daemonName(i int) string { return "kube-system/" + []string{"agent", "cni", "csi", "logs"}[i] }

func realUID(what string, i int) types.UID {
	return types.UID(fmt.Sprintf("%08x-0000-4000-8000-%012x", len(what)*7919, i))
}

func at(seconds int) metav1.Time {
	return metav1.NewTime(Start.Add(time.Duration(seconds) * time.Second))
}

// managed is what the API server notes about who wrote which field.
func managed(bytes int) []metav1.ManagedFieldsEntry {
	now := at(0)
	field := `"f:app.kubernetes.io/name":{},"k:{\"type\":\"Ready\"}":{".":{},"f:lastTransitionTime":{}},`
	return []metav1.ManagedFieldsEntry{{
		Manager: "kube-controller-manager", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1", Time: &now, FieldsType: "FieldsV1",
		FieldsV1: metav1.NewFieldsV1(`{"f:metadata":{` + strings.Repeat(field, bytes/len(field)) + `"f:x":{}}}`),
	}}
}

func realPod(i, minute int) runtime.Object {
	node, slot := i/podsPerNode, i%podsPerNode
	switch {
	case slot < deployedPerNode:
		return deployedPod(i, (node*deployedPerNode+slot)/podsPerKind, nodeName(node), minute)
	case slot < deployedPerNode+daemonsPerNode:
		return daemonPod(i, slot-deployedPerNode, nodeName(node), minute)
	}
	return staticPod(i, nodeName(node), minute)
}

func deployedPod(i, kind int, node string, minute int) *corev1.Pod {
	app := realKind(kind)
	p := fullPod(i, "shop/"+app+fmt.Sprintf("-7d4b9c6f5-%05d", i), app, node, minute)
	Of("ReplicaSet", app+"-0")(p)
	p.Labels["pod-template-hash"] = "7d4b9c6f5"
	Spread(corev1.LabelTopologyZone, 1, "app.kubernetes.io/name", app)(p)
	p.Spec.TopologySpreadConstraints[0].WhenUnsatisfiable = corev1.ScheduleAnyway
	return p
}

func daemonPod(i, which int, node string, minute int) *corev1.Pod {
	name := daemonName(which)
	p := fullPod(i, fmt.Sprintf("%s-%05d", name, i), strings.TrimPrefix(name, "kube-system/"), node, minute)
	Of("DaemonSet", strings.TrimPrefix(name, "kube-system/"))(p)
	p.Labels["controller-revision-hash"] = "6c8d9f7b5"
	p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{
			{Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node}},
		}}},
	}}}
	return p
}

func staticPod(i int, node string, minute int) *corev1.Pod {
	p := fullPod(i, "kube-system/kube-proxy-"+node, "kube-proxy", node, minute)
	Of("Node", node)(p)
	for _, key := range []string{"hash", "mirror"} {
		p.Annotations["kubernetes.io/config."+key] = fmt.Sprintf("%032x", i)
	}
	p.Annotations["kubernetes.io/config.seen"], p.Annotations["kubernetes.io/config.source"] = at(i).Format(time.RFC3339Nano), "file"
	return p
}

// fullPod has all that pods have. Its readiness changes by the minute.
func fullPod(i int, name, app, node string, minute int) *corev1.Pod {
	p := Pod(name, On(node))
	p.UID = realUID("pod", i)
	p.GenerateName, p.ResourceVersion = p.Name[:len(p.Name)-5], fmt.Sprint(1000+minute)
	p.CreationTimestamp = at(-i % 100_000)
	p.Labels = map[string]string{
		"app.kubernetes.io/name": app, "app.kubernetes.io/instance": app, "app.kubernetes.io/component": "server", "app.kubernetes.io/part-of": "shop",
		"app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": app + "-1.2.3", "team": "checkout",
	}
	p.Annotations = map[string]string{
		"checksum/config": strings.Repeat("0123456789abcdef", 4), "prometheus.io/scrape": "true", "prometheus.io/port": "8080",
		"cni.projectcalico.org/podIP": fmt.Sprintf("10.%d.%d.%d/32", i>>16, i>>8&255, i&255), "cni.projectcalico.org/containerID": fmt.Sprintf("%064x", i),
	}
	p.ManagedFields = managed(2000)
	p.Spec.Containers = []corev1.Container{fullContainer(app), fullContainer("proxy")}
	p.Spec.ServiceAccountName, p.Spec.DeprecatedServiceAccount, p.Spec.DNSPolicy, p.Spec.RestartPolicy = app, app, corev1.DNSClusterFirst, corev1.RestartPolicyAlways
	p.Spec.TerminationGracePeriodSeconds, p.Spec.Priority, p.Spec.EnableServiceLinks = new(int64(30)), new(int32(0)), new(true)
	p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: new(true), FSGroup: new(int64(1000))}
	for _, taint := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{
			Key: taint, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: new(int64(300)),
		})
	}
	p.Spec.Volumes = []corev1.Volume{
		{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: app}}}},
		{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}}},
		{Name: fmt.Sprintf("kube-api-access-%05d", i), VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: new(int64(3607))}},
		}}}},
	}
	ready := corev1.ConditionTrue
	if minute%2 == 1 {
		ready = corev1.ConditionFalse
	}
	p.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, HostIP: "10.0.0.1", PodIP: "10.1.2.3", PodIPs: []corev1.PodIP{{IP: "10.1.2.3"}}, QOSClass: corev1.PodQOSBurstable,
		StartTime: &metav1.Time{Time: p.CreationTimestamp.Time},
	}
	for _, of := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: of, Status: ready, LastTransitionTime: p.CreationTimestamp})
	}
	for _, c := range p.Spec.Containers {
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Ready: true, Image: c.Image, ImageID: c.Image + "@sha256:" + strings.Repeat("0123456789abcdef", 4), Started: new(true),
			ContainerID: fmt.Sprintf("containerd://%064x", i), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: p.CreationTimestamp}},
			Resources: c.Resources.DeepCopy(), AllocatedResources: c.Resources.Requests.DeepCopy(),
		})
	}
	return p
}

func fullContainer(name string) corev1.Container {
	probe := &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromString("http"), Scheme: corev1.URISchemeHTTP}},
		PeriodSeconds: 10, TimeoutSeconds: 1, SuccessThreshold: 1, FailureThreshold: 3,
	}
	c := corev1.Container{
		Name: name, Image: "registry.example/shop/" + name + ":1.2.3", Args: []string{"--config=/etc/config/config.yaml", "--verbose"},
		ImagePullPolicy: corev1.PullIfNotPresent, LivenessProbe: probe, ReadinessProbe: probe,
		Ports:                    []corev1.ContainerPort{{Name: "http", ContainerPort: 8080, Protocol: corev1.ProtocolTCP}},
		TerminationMessagePath:   "/dev/termination-log",
		TerminationMessagePolicy: corev1.TerminationMessageReadFile,
		SecurityContext:          &corev1.SecurityContext{AllowPrivilegeEscalation: new(false), ReadOnlyRootFilesystem: new(true)},
		VolumeMounts:             []corev1.VolumeMount{{Name: "config", MountPath: "/etc/config"}, {Name: "tmp", MountPath: "/tmp"}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("200Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("400Mi")},
		},
	}
	for i := range 10 {
		c.Env = append(c.Env, corev1.EnvVar{Name: fmt.Sprintf("SETTING_%d", i), Value: "some value of a setting"})
	}
	return c
}

func realNode(i, minute int) runtime.Object {
	n := Node(nodeName(i), In(fmt.Sprintf("pool-%d", i%idlePools)), Holds("4", "16Gi"), Zone(fmt.Sprintf("zone-%d", i%3)))
	for _, key := range []string{"kubernetes.io/arch", "kubernetes.io/os", "node.kubernetes.io/instance-type", "topology.kubernetes.io/region", "k8s.example/pool"} {
		n.Labels[key] = "x"
	}
	n.Annotations = map[string]string{"node.alpha.kubernetes.io/ttl": "0", "csi.volume.kubernetes.io/nodeid": `{"block.csi.example":"` + n.Name + `"}`}
	n.ResourceVersion, n.ManagedFields = fmt.Sprint(1000+minute), managed(3000)
	for _, of := range []corev1.NodeConditionType{corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure} {
		n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{
			Type: of, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficient", Message: "kubelet has sufficient of it", LastHeartbeatTime: at(60 * minute),
		})
	}
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.1"}, {Type: corev1.NodeHostName, Address: n.Name}}
	for image := range 50 {
		n.Status.Images = append(n.Status.Images, corev1.ContainerImage{SizeBytes: 100_000_000, Names: []string{
			fmt.Sprintf("registry.example/shop/image-%d@sha256:%s", image, strings.Repeat("0123456789abcdef", 4)), fmt.Sprintf("registry.example/shop/image-%d:1.2.3", image),
		}})
	}
	return n
}

func realLease(i, minute int) runtime.Object {
	renewed := metav1.NewMicroTime(at(60 * minute).Time)
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: nodeName(i), ResourceVersion: fmt.Sprint(1000 + minute), ManagedFields: managed(400)},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: new(nodeName(i)), LeaseDurationSeconds: new(int32(40)), RenewTime: &renewed},
	}
}

// realReplicaSet is the present one of a Deployment or, nine times of ten, an old one.
func realReplicaSet(i int) runtime.Object {
	kind, revision := i/revisions, i%revisions
	replicas := int32(podsPerKind)
	if revision > 0 {
		replicas = 0
	}
	rs := ReplicaSet(fmt.Sprintf("shop/%s-%d", realKind(kind), revision), replicas)
	owner := realKind(kind)
	rs.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: owner, UID: realUID("deployment", kind), Controller: new(true)}}
	rs.ManagedFields = managed(1500)
	rs.Spec.Template.Spec.Containers = []corev1.Container{fullContainer(owner), fullContainer("proxy")}
	return rs
}
