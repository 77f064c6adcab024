// Package contract runs the suite of test/contract against a real API server: what the simulated cluster is held to is what this one does.
package contract

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/cluster/api"
	"github.com/poolkeeper/poolkeeper/cluster/watch"
	"github.com/poolkeeper/poolkeeper/test/contract"
	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
	"github.com/poolkeeper/poolkeeper/test/e2e/wire"
)

var plane *controlplane.ControlPlane

func TestMain(m *testing.M) {
	os.Exit(controlplane.Main(m, controlplane.Options{Timers: controlplane.KubernetesTimers()}, func(c *controlplane.ControlPlane) { plane = c }))
}

func TestARealAPIServerKeepsTheContracts(t *testing.T) {
	// Nothing but the contracts may change anything.
	for _, name := range []string{controlplane.ControllerManager, controlplane.Scheduler, controlplane.Kubelets} {
		plane.Component(name).Kill()
	}
	contract.Run(t, &genuine{Client: api.NewClient(plane.Client())})
}

// genuine is a real API server, whose answers come through the daemon's own client.
type genuine struct {
	*api.Client
	namespaces int
}

// Namespace makes the ServiceAccount too, without which no pod is admitted.
func (s *genuine) Namespace(t *testing.T) string {
	t.Helper()
	s.namespaces++
	name := fmt.Sprintf("contract-%d", s.namespaces)
	_, err := plane.Client().CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	must(t, err)
	_, err = plane.Client().CoreV1().ServiceAccounts(name).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	must(t, err)
	return name
}

func (s *genuine) PlacePod(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	pods := plane.Client().CoreV1().Pods(pod.Namespace)
	made, err := pods.Create(t.Context(), pod, metav1.CreateOptions{})
	must(t, err)
	made.Status = pod.Status
	made, err = pods.UpdateStatus(t.Context(), made, metav1.UpdateOptions{})
	must(t, err)
	return made
}

func (s *genuine) PlaceBudget(t *testing.T, budget *policyv1.PodDisruptionBudget) {
	t.Helper()
	budgets := plane.Client().PolicyV1().PodDisruptionBudgets(budget.Namespace)
	made, err := budgets.Create(t.Context(), budget, metav1.CreateOptions{})
	must(t, err)
	made.Status = budget.Status
	_, err = budgets.UpdateStatus(t.Context(), made, metav1.UpdateOptions{})
	must(t, err)
}

func (s *genuine) PlaceAttachment(t *testing.T, attachment *storagev1.VolumeAttachment) *storagev1.VolumeAttachment {
	t.Helper()
	made, err := plane.Client().StorageV1().VolumeAttachments().Create(t.Context(), attachment, metav1.CreateOptions{})
	must(t, err)
	return made
}

func (s *genuine) Budget(t *testing.T, namespace, name string) *policyv1.PodDisruptionBudget {
	t.Helper()
	budget, err := plane.Client().PolicyV1().PodDisruptionBudgets(namespace).Get(t.Context(), name, metav1.GetOptions{})
	must(t, err)
	return budget
}

// Contend has the server refuse every write of a budget's status in the namespace as a conflict, by a webhook: what it would answer if others wrote all the time.
func (s *genuine) Contend(t *testing.T, namespace, name string) {
	t.Helper()
	hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		review.Response = &admissionv1.AdmissionResponse{
			UID: review.Request.UID, Result: &metav1.Status{Code: http.StatusConflict, Reason: metav1.StatusReasonConflict, Message: "somebody was faster"},
		}
		review.Request = nil
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(hook.Close)
	hooks := plane.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations()
	none := admissionregistrationv1.SideEffectClassNone
	_, err := hooks.Create(t.Context(), &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "rival.example.org", SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL:      &hook.URL,
				CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw}),
			},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Update},
				Rule: admissionregistrationv1.Rule{
					APIGroups: []string{policyv1.GroupName}, APIVersions: []string{"v1"}, Resources: []string{"poddisruptionbudgets/status"},
				},
			}},
		}},
	}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() { _ = hooks.Delete(context.Background(), namespace, metav1.DeleteOptions{}) })
	controlplane.Eventually(t, time.Minute, func(ctx context.Context) error { // the server has heard of the webhook
		budget, err := plane.Client().PolicyV1().PodDisruptionBudgets(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if _, err := plane.Client().PolicyV1().PodDisruptionBudgets(namespace).UpdateStatus(ctx, budget, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
			return fmt.Errorf("a write of the budget: %w, want a conflict", err)
		}
		return nil
	})
}

// Follow waits for two minutes at most: a bookmark comes about once a minute.
func (s *genuine) Follow(t *testing.T, namespace, version string, sink func(apiwatch.Event)) (contract.Following, error) {
	t.Helper()
	options := metav1.ListOptions{ResourceVersion: version, AllowWatchBookmarks: true}
	if version == "" {
		options.SendInitialEvents, options.ResourceVersionMatch = ptr.To(true), metav1.ResourceVersionMatchNotOlderThan
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	watcher, err := plane.Client().CoreV1().ConfigMaps(namespace).Watch(ctx, options)
	if err != nil {
		cancel()
		return contract.Following{}, err
	}
	events := watcher.ResultChan()
	if version != "" { // a version that is too old is told as the first event
		select {
		case e := <-events:
			if e.Type == apiwatch.Error {
				cancel()
				return contract.Following{}, apierrors.FromObject(e.Object)
			}
			sink(e)
		case <-time.After(5 * time.Second):
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range events {
			sink(e)
		}
	}()
	return contract.Following{
		Until: func(holds func() bool) bool {
			return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) { return holds(), nil }) == nil
		},
		Stop: func() {
			cancel()
			<-done
		},
	}, nil
}

// Forgotten has the server started again: what its watches can go on from begins there.
func (s *genuine) Forgotten(t *testing.T) string {
	t.Helper()
	plane.Component(controlplane.APIServer).Kill()
	must(t, plane.Restart(t.Context(), controlplane.APIServer))
	return "1"
}

// Watch is the daemon's own, by a wire that can be cut.
func (s *genuine) Watch(t *testing.T, sink func(cluster.Event)) contract.Watch {
	t.Helper()
	line, config := wire.New(t, plane.URL()), plane.RESTConfig()
	config.Host = line.URL()
	client, err := kubernetes.NewForConfig(config)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	watcher, err := watch.Start(ctx, client, metav1.NamespaceDefault, sink)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		watcher.Wait()
	})
	must(t, watcher.WaitForSync(ctx))
	return contract.Watch{
		Until: func(holds func() bool) bool {
			return wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) { return holds(), nil }) == nil
		},
		Broken: func(meanwhile func()) {
			line.Cut()
			meanwhile()
			line.Mend()
		},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
