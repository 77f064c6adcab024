package simulation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// Trouble says how often something goes wrong between the daemon and what it talks to. Each number is a chance from 0 to 1, for each call, or
// for each read of the cloud; who meets it, the seed decides. People, controllers and kubelets are spared.
type Trouble struct {
	// Fail: a call has no effect and ends in an error. Lose: a write has its effect, and ends in a time-out all the same.
	Fail, Lose float64
	// API is Fail for calls of the API server alone.
	API float64
	// Late: the result of a piece of work comes so much later that others may have happened in between: by up to LateBy.
	Late float64
	// Stale: a read of the cloud tells what the read before told. Partial: it leaves an instance out.
	Stale, Partial float64
	// Lag is added to the delays of the daemon's watches.
	Lag Range
}

// LateBy is the longest that a late result takes; more than a minute, so that time-outs, retries and other passes come in between.
const LateBy = 90 * time.Second

// SetTrouble puts trouble in the place of what was before; the zero value ends it.
func (w *World) SetTrouble(t Trouble) {
	w.trouble = t
	if t == (Trouble{}) {
		w.Log.add(Brief, "trouble ends")
		return
	}
	w.Log.add(Brief, "trouble begins: %s", t)
}

// String says what the trouble is.
func (t Trouble) String() string {
	if t.API > 0 && t == (Trouble{API: t.API}) {
		return fmt.Sprintf("the API server fails %.0f%% of the calls", t.API*100)
	}
	return fmt.Sprintf("fail %.0f%%, lose %.0f%%, late %.0f%%, stale %.0f%%, partial %.0f%%, watches late by %v to %v",
		t.Fail*100, t.Lose*100, t.Late*100, t.Stale*100, t.Partial*100, t.Lag[0], t.Lag[1])
}

// Met counts the faults that were met so far, by "fault call": "lost EvictPod", "crash before UpdateConfigMap".
func (w *World) Met() map[string]int { return maps.Clone(w.met) }

func (w *World) meet(fault, call string) {
	if w.met == nil {
		w.met = map[string]int{}
	}
	w.met[fault+" "+call]++
}

// strikes tells whether something of that chance happens now.
func (w *World) strikes(chance float64, fault, call string) bool {
	if chance <= 0 {
		return false
	}
	const parts = 1 << 20
	if float64(w.dice.draw("trouble/"+fault+"/"+call)%parts) >= chance*parts {
		return false
	}
	w.meet(fault, call)
	return true
}

// anyOf draws one of n.
func (w *World) anyOf(n int, who string) int { return int(w.dice.draw(who) % uint64(n)) }

// apiTrouble is the error that a call of the API meets; nil if it goes through.
func (w *World) apiTrouble(call string) error {
	if !w.strikes(max(w.trouble.Fail, w.trouble.API), "failed", call) {
		return nil
	}
	all := []error{
		apierrors.NewInternalError(errors.New("etcdserver: leader changed")),
		apierrors.NewTooManyRequests("the server is overloaded, please try again later", 1),
		apierrors.NewServiceUnavailable("the apiserver is shutting down"),
		apierrors.NewGenericServerResponse(http.StatusGatewayTimeout, "", schema.GroupResource{}, "", "gateway timeout", 0, true),
		context.DeadlineExceeded,
	}
	return all[w.anyOf(len(all), "error/"+call)]
}

// cloudTrouble is the error that a call of the cloud meets; nil if it goes through.
func (w *World) cloudTrouble(call string) error {
	if !w.strikes(w.trouble.Fail, "failed", call) {
		return nil
	}
	transient := cloudprovider.Errorf(cloudprovider.ClassTransient, call, "too many requests")
	transient.RetryAfter = 5 * time.Second
	all := []error{
		transient,
		cloudprovider.Errorf(cloudprovider.ClassTransient, call, "another operation is under way"),
		errors.New("<html>502 bad gateway</html>"),
		context.DeadlineExceeded,
	}
	return all[w.anyOf(len(all), "error/"+call)]
}

// errLost is what a caller gets whose call was done, and who will never know.
var errLost = fmt.Errorf("the answer did not come: %w", context.DeadlineExceeded)

// lateness is by how much longer a result takes on its way back.
func (w *World) lateness() time.Duration {
	if !w.strikes(w.trouble.Late, "late", "result") {
		return 0
	}
	return w.between(Range{time.Second, LateBy}, "late")
}
