package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// A day of a small cluster, from night to the top of the wave: what is promised of the large one holds for it as well.
func TestADayOfASmallClusterIsLivedWell(t *testing.T) {
	r, err := live(options{seed: 3, nodes: 30, length: 15 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", r)
	if len(r.waits) < 500 || r.added < 10 || r.removed < 10 {
		t.Errorf("nothing much happened: %d pods, %d nodes added, %d removed", len(r.waits), r.added, r.removed)
	}
	if last := r.moments[len(r.moments)-1]; last.waiting > 20 {
		t.Errorf("%d pods wait at the end", last.waiting)
	}
	if waste := r.hours / r.patient; waste > 1.5 {
		t.Errorf("%.2f times the node-hours of one that knows the future", waste)
	}
	if r.hours < r.least*0.98 {
		t.Errorf("%.0f node-hours are less than the least possible, %.0f: one of the two is counted wrong", r.hours, r.least)
	}
	if p99 := r.waited(0.99); p99 > 5*time.Minute {
		t.Errorf("one pod in a hundred waits longer than %s", p99)
	}
	if churn := r.added + r.removed; churn > 300 {
		t.Errorf("%d nodes came and went", churn)
	}
	decoder := xml.NewDecoder(strings.NewReader(draw(r)))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the picture can't be read: %v", err)
		}
	}
}
