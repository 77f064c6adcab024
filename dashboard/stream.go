package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"k8s.io/utils/clock"

	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/report"
)

const (
	// readersMost is how many streams are served at once: the page is for a handful of people.
	readersMost = 32
	// toldMost is how many decisions are told at once: as many as the page keeps.
	toldMost = 2000
	// silence is the longest time without a word, so that neither proxy nor browser takes the stream for dead.
	silence = 15 * time.Second
	// writeWithin is how long a reader may take for one message.
	writeWithin = 10 * time.Second
)

// news is the frame event: all that changed since the last one. Pools that are not named in Cells are as they were.
type news struct {
	// Leading says whether this replica decides; if it doesn't, Leader names who does, as far as it is known.
	Leading bool                       `json:"leading"`
	Leader  string                     `json:"leader,omitempty"`
	Status  json.RawMessage            `json:"status,omitempty"`
	Cells   map[string]json.RawMessage `json:"cells,omitempty"`
}

// reader is one who looks, and what it has been told.
type reader struct {
	clock   clock.Clock
	w       http.ResponseWriter
	control *http.ResponseController
	plan    *plan.Plan
	standby string
	cells   map[string]string
	seq     uint64
	greeted bool
	last    time.Time
}

func (d *Dashboard) serveStream(w http.ResponseWriter, req *http.Request) {
	if !d.enter() {
		http.Error(w, fmt.Sprintf("%d people look at the page already; close one", readersMost), http.StatusServiceUnavailable)
		return
	}
	defer d.leave()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // some proxies collect an answer before they pass it on
	r := &reader{clock: d.clock, w: w, control: http.NewResponseController(w), cells: map[string]string{}}
	_ = r.control.SetReadDeadline(time.Time{}) // the request is read, and the reader stays
	ticker := d.clock.NewTicker(d.beat)
	defer ticker.Stop()
	for {
		if err := d.tell(r); err != nil {
			return // the reader is gone
		}
		select {
		case <-req.Context().Done():
			return
		case <-ticker.C():
		}
	}
}

func (d *Dashboard) enter() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.readers >= readersMost {
		return false
	}
	d.readers++
	return true
}

func (d *Dashboard) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readers--
}

// tell sends a reader what it has not been told.
func (d *Dashboard) tell(r *reader) error {
	v := d.source.View()
	if v.Plan == nil {
		return r.stand(v)
	}
	if v.Plan != r.plan {
		if err := d.show(r, v); err != nil {
			return err
		}
	}
	if told := d.source.History(r.seq); len(told) > 0 {
		told = told[max(0, len(told)-toldMost):]
		if err := r.send("told", told); err != nil {
			return err
		}
		r.seq = told[len(told)-1].Seq
	}
	if r.clock.Since(r.last) < silence {
		return nil
	}
	return r.write(": still here\n\n")
}

// stand says that there is no plan here, once for each leader.
func (r *reader) stand(v report.View) error {
	if r.greeted && r.plan == nil && r.standby == v.Leader && r.clock.Since(r.last) < silence {
		return nil
	}
	r.greeted, r.plan, r.standby = true, nil, v.Leader
	return r.send("frame", news{Leading: v.Leading, Leader: v.Leader})
}

func (d *Dashboard) show(r *reader, v report.View) error {
	f, err := d.frameOf(v)
	if err != nil {
		return err
	}
	n := news{Leading: true, Leader: v.Leader, Status: f.status, Cells: map[string]json.RawMessage{}}
	for pool, text := range f.cells {
		if r.cells[pool] != text {
			n.Cells[pool] = json.RawMessage(text)
		}
	}
	r.greeted, r.plan, r.cells = true, v.Plan, f.cells
	return r.send("frame", n)
}

func (r *reader) send(event string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return r.write(fmt.Sprintf("event: %s\ndata: %s\n\n", event, text))
}

func (r *reader) write(text string) error {
	now := r.clock.Now()
	_ = r.control.SetWriteDeadline(now.Add(writeWithin)) // not every connection has one
	if _, err := r.w.Write([]byte(text)); err != nil {
		return err
	}
	r.last = now
	return r.control.Flush()
}
