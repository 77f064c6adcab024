package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/poolkeeper/poolkeeper/cluster/dump"
	"github.com/poolkeeper/poolkeeper/explain"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/preflight"
)

// Probes are the paths that a kubelet asks. They tell nothing of the cluster, and are open to everybody.
var Probes = []string{"/livez", "/readyz"}

// Handler answers GET on
//
//	/plan     the last plan as JSON, with how each rollout would go under upgrade; a replica that stands by answers 503 and says who leads
//	/explain  what is decided about one subject, and why: ?kind=pod|node|pool&name=..., as JSON or, with &format=text, as text
//	/dump     the pools and workloads as JSON, for a simulation
//	/preflight what the drain of one node would meet: ?node=..., as JSON
//	/history  the decisions of this leader, oldest first, as JSON; ?after=SEQ gives those after one
//	/incidents the illnesses of nodes, open ones first, with what was seen and done, as JSON; ?node=NAME and ?pool=NAME choose
//	/status   the status as YAML, or as JSON with ?format=json
//	/metrics  for Prometheus
//	/livez    500 if the loop is stuck, else 200; never fails because something else is away
//	/readyz   200 once the caches are synced, on a replica that stands by too
func (r *Reporter) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /plan", r.servePlan)
	mux.HandleFunc("GET /status", r.serveStatus)
	mux.HandleFunc("GET /history", r.serveHistory)
	mux.HandleFunc("GET /incidents", r.serveIncidents)
	mux.HandleFunc("GET /explain", r.serveExplain)
	mux.HandleFunc("GET /dump", r.serveDump)
	mux.HandleFunc("GET /preflight", r.servePreflight)
	mux.HandleFunc("GET /livez", r.serveLive)
	mux.HandleFunc("GET /readyz", r.serveReady)
	if r.options.Gatherer != nil {
		mux.Handle("GET /metrics", promhttp.HandlerFor(r.options.Gatherer, promhttp.HandlerOpts{}))
	}
	return mux
}

// standing is the answer of a replica without a plan.
type standing struct {
	Standby bool   `json:"standby"`
	Leader  string `json:"leader,omitempty"`
	Message string `json:"message"`
}

// without answers for a replica that has no plan, and tells whether it did.
func (r *Reporter) without(w http.ResponseWriter, v View) bool {
	if v.Plan != nil {
		return false
	}
	answer := standing{Standby: !v.Leading, Leader: v.Leader, Message: "this replica stands by; only the leader has a plan"}
	if v.Leading {
		answer.Message = "this replica leads, and has not made a plan yet"
	}
	writeJSON(w, http.StatusServiceUnavailable, answer)
	return true
}

func (r *Reporter) servePlan(w http.ResponseWriter, _ *http.Request) {
	v := r.View()
	if r.without(w, v) {
		return
	}
	answer := planned{Plan: v.Plan}
	for _, rollout := range v.Plan.Rollouts {
		answer.Upgrade = append(answer.Upgrade, preflight.Of(v.Snapshot, rollout, r.options.Drain, v.Plan.Time))
	}
	writeJSON(w, http.StatusOK, answer)
}

// planned is the last plan, with how each rollout would go.
type planned struct {
	*plan.Plan
	Upgrade []preflight.Report `json:"upgrade,omitempty"`
}

func (r *Reporter) serveStatus(w http.ResponseWriter, req *http.Request) {
	v := r.View()
	if r.without(w, v) {
		return
	}
	status := StatusOf(v.Leader, r.options.Version, v.Plan, v.Snapshot)
	switch format := req.URL.Query().Get("format"); format {
	case "json":
		writeJSON(w, http.StatusOK, status)
	case "", "yaml":
		text, err := encodeStatus(status)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/yaml; charset=utf-8")
		_, _ = w.Write(text)
	default:
		http.Error(w, "format is yaml or json, not "+format, http.StatusBadRequest)
	}
}

func (r *Reporter) serveExplain(w http.ResponseWriter, req *http.Request) {
	v := r.View()
	if r.without(w, v) {
		return
	}
	query := req.URL.Query()
	answer, err := explain.About(v.Plan, v.Snapshot, query.Get("kind"), query.Get("name"))
	if err != nil {
		code := http.StatusBadRequest
		if unknown := new(explain.NotFoundError); errors.As(err, &unknown) {
			code = http.StatusNotFound
		}
		http.Error(w, err.Error(), code)
		return
	}
	switch format := query.Get("format"); format {
	case "", "json":
		writeJSON(w, http.StatusOK, answer)
	case "text":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_ = answer.Text(w) // who asked is gone
	default:
		http.Error(w, fmt.Sprintf("format is json or text, not %q", format), http.StatusBadRequest)
	}
}

func (r *Reporter) serveDump(w http.ResponseWriter, _ *http.Request) {
	if v := r.View(); !r.without(w, v) {
		writeJSON(w, http.StatusOK, dump.Of(v.Snapshot))
	}
}

// servePreflight rates a node as if it were the only one of a rollout.
func (r *Reporter) servePreflight(w http.ResponseWriter, req *http.Request) {
	v := r.View()
	if r.without(w, v) {
		return
	}
	name := req.URL.Query().Get("node")
	node, there := v.Snapshot.Nodes.Get(name)
	if !there {
		http.Error(w, fmt.Sprintf("there is no node %q; see kubectl get nodes", name), http.StatusNotFound)
		return
	}
	drained := plan.Rollout{Nodes: []string{name}, AtOnce: 1}
	if pool := v.Snapshot.PoolOf(node); pool != nil {
		drained.Pool = pool.Name
	}
	writeJSON(w, http.StatusOK, preflight.Of(v.Snapshot, drained, r.options.Drain, v.Plan.Time))
}

func (r *Reporter) serveLive(w http.ResponseWriter, _ *http.Request) {
	if r.options.Stuck != nil && r.options.Stuck() {
		http.Error(w, "the loop has been at one thing for too long", http.StatusInternalServerError)
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

func (r *Reporter) serveReady(w http.ResponseWriter, _ *http.Request) {
	if r.options.Ready != nil {
		if err := r.options.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	if v := r.View(); !v.Leading {
		_, _ = w.Write([]byte("ok, standing by\n"))
		return
	}
	_, _ = w.Write([]byte("ok\n"))
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(text, '\n'))
}
