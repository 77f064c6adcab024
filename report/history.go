package report

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan/reason"
)

// Decision is one entry of the history: what was decided, or what began to be held, in words.
type Decision struct {
	// Seq grows by one with every decision of this process.
	Seq   uint64       `json:"seq"`
	Time  time.Time    `json:"time"`
	Owner ledger.Owner `json:"owner"`
	Text  string       `json:"text"`
	// Reason is from the closed list.
	Reason reason.Reason `json:"reason"`
	Pool   string        `json:"pool,omitempty"`
	Node   string        `json:"node,omitempty"`
	// Warning says that a person should look.
	Warning bool `json:"warning,omitempty"`
}

// historyMost is how many decisions are kept: some days of a quiet cluster, an hour of a busy one, about a megabyte. What is older is in the log.
const historyMost = 5000

// history are the last decisions. It is safe for concurrent use.
type history struct {
	mu   sync.Mutex
	next uint64
	ring []Decision
}

// add keeps the lines that matter, and gives them as decisions.
func (h *history) add(now time.Time, lines []line) []Decision {
	h.mu.Lock()
	defer h.mu.Unlock()
	var added []Decision
	for _, l := range lines {
		if l.Minor {
			continue
		}
		h.next++
		d := Decision{
			Seq: h.next, Time: now.UTC().Truncate(time.Second), Owner: l.Owner, Text: l.Text, Reason: l.Reason, Pool: l.Pool, Node: l.Node, Warning: l.Warning,
		}
		if len(h.ring) < historyMost {
			h.ring = append(h.ring, d)
		} else {
			h.ring[(h.next-1)%historyMost] = d
		}
		added = append(added, d)
	}
	return added
}

// after are the decisions after the given one, oldest first.
func (h *history) after(seq uint64) []Decision {
	h.mu.Lock()
	defer h.mu.Unlock()
	first := max(seq, h.next-min(h.next, uint64(len(h.ring))))
	all := make([]Decision, 0, h.next-min(first, h.next))
	for n := first; n < h.next; n++ {
		all = append(all, h.ring[n%historyMost])
	}
	return all
}

// History are the decisions that this process made, oldest first: those after the given one, as far as they are kept.
func (r *Reporter) History(after uint64) []Decision { return r.history.after(after) }

func (r *Reporter) serveHistory(w http.ResponseWriter, req *http.Request) {
	if v := r.View(); r.without(w, v) {
		return
	}
	var after uint64
	if text := req.URL.Query().Get("after"); text != "" {
		var err error
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			http.Error(w, "after is the seq of a decision, a whole number, not "+strconv.Quote(text), http.StatusBadRequest)
			return
		}
	}
	writeJSON(w, http.StatusOK, r.history.after(after))
}
