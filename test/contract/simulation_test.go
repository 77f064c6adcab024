package contract_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiwatch "k8s.io/apimachinery/pkg/watch"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/scheduling"
	"github.com/poolkeeper/poolkeeper/simulation"
	"github.com/poolkeeper/poolkeeper/test/contract"
)

func TestTheSimulationKeepsTheContracts(t *testing.T) {
	engine, err := scheduling.New(scheduling.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := simulation.New(simulation.Options{Engine: engine})
	contract.Run(t, &simulated{Store: w.Store, world: w})
}

// simulated is the simulation's API server. Its controllers do nothing as long as no time passes.
type simulated struct {
	*simulation.Store
	world      *simulation.World
	namespaces int
}

func (s *simulated) Namespace(*testing.T) string {
	s.namespaces++
	return fmt.Sprintf("contract-%d", s.namespaces)
}

func (s *simulated) PlacePod(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	return place(t, s.Store, pod, func(made *corev1.Pod) { made.Status = pod.Status })
}

func (s *simulated) PlaceBudget(t *testing.T, budget *policyv1.PodDisruptionBudget) {
	t.Helper()
	place(t, s.Store, budget, func(made *policyv1.PodDisruptionBudget) { made.Status = budget.Status })
}

func (s *simulated) PlaceAttachment(t *testing.T, attachment *storagev1.VolumeAttachment) *storagev1.VolumeAttachment {
	t.Helper()
	return place(t, s.Store, attachment, func(*storagev1.VolumeAttachment) {})
}

// place makes an object, and then gives it its status.
func place[T simulation.Object](t *testing.T, s *simulation.Store, o T, status func(T)) T {
	t.Helper()
	made, err := simulation.Create(s, o)
	if err == nil {
		status(made)
		made, err = simulation.Update(s, made)
	}
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (s *simulated) Budget(t *testing.T, namespace, name string) *policyv1.PodDisruptionBudget {
	t.Helper()
	budget, err := simulation.Get[*policyv1.PodDisruptionBudget](s.Store, namespace, name)
	if err != nil {
		t.Fatal(err)
	}
	return budget
}

func (s *simulated) Contend(_ *testing.T, namespace, name string) {
	s.Store.Contend(namespace, name, true)
}

// Follow waits for two minutes at most, in which a bookmark comes.
func (s *simulated) Follow(t *testing.T, namespace, version string, sink func(apiwatch.Event)) (contract.Following, error) {
	t.Helper()
	stop, err := s.world.Follow(namespace, version, sink)
	return contract.Following{
		Until: func(holds func() bool) bool { return s.world.RunUntil(holds, 2*time.Minute) == nil }, Stop: stop,
	}, err
}

// Forgotten writes so much that the first version is forgotten.
func (s *simulated) Forgotten(t *testing.T) string {
	t.Helper()
	namespace := s.Namespace(t)
	cm, err := s.CreateConfigMap(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "busy"}})
	for i := 0; i < 1000 && err == nil; i++ {
		cm.Data = map[string]string{"is": fmt.Sprint(i)}
		cm, err = s.UpdateConfigMap(t.Context(), cm)
	}
	if err != nil {
		t.Fatal(err)
	}
	return "1"
}

// Watch lets time pass until what is waited for was told: a second is more than any watch lags, and less than any controller here waits.
func (s *simulated) Watch(t *testing.T, sink func(cluster.Event)) contract.Watch {
	t.Helper()
	t.Cleanup(s.world.Watch(sink))
	return contract.Watch{
		Until: func(holds func() bool) bool { return s.world.RunUntil(holds, time.Second) == nil },
		Broken: func(meanwhile func()) {
			s.world.BreakWatches(500 * time.Millisecond)
			meanwhile()
		},
	}
}
