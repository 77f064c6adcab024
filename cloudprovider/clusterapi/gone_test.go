package clusterapi

import (
	"net/http"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// A Cluster API that was upgraded and serves the old version no longer answers 404 to everything that is asked of it.
func TestAKindThatIsNotServedIsNoMachineThatIsGone(t *testing.T) {
	machines := schema.GroupResource{Group: "cluster.x-k8s.io", Resource: "machines"}
	if err := apierrors.NewNotFound(machines, "m-1"); !isGone(err) {
		t.Errorf("%v: the Machine is gone", err)
	}
	unserved := apierrors.NewGenericServerResponse(http.StatusNotFound, "get", machines, "m-1", "404 page not found", 0, true)
	if !apierrors.IsNotFound(unserved) || isGone(unserved) {
		t.Errorf("%v: nothing is said about the Machine", unserved)
	}
}
