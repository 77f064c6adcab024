package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/simulation"
)

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: simulation.Namespace, Name: name}}
}

func TestALostWriteWasDoneAndEndsInAnErrorAndAFailedOneWasNot(t *testing.T) {
	for _, c := range []struct {
		trouble simulation.Trouble
		there   int
		met     string
	}{
		{simulation.Trouble{Lose: 1}, 1, "lost CreateConfigMap"},
		{simulation.Trouble{Fail: 1}, 0, "failed CreateConfigMap"},
	} {
		w := newWorld(t, simulation.Options{})
		w.SetTrouble(c.trouble)
		var err error
		once(w, func(p *simulation.Process) { _, err = p.API().CreateConfigMap(t.Context(), configMap("a")) })
		w.Run(time.Second)
		if err == nil {
			t.Errorf("%v: the daemon got no error", c.trouble)
		}
		if there := len(simulation.List[*corev1.ConfigMap](w.Store)); there != c.there {
			t.Errorf("%v: %d ConfigMaps, want %d", c.trouble, there, c.there)
		}
		if w.Met()[c.met] != 1 {
			t.Errorf("%v: met %v", c.trouble, w.Met())
		}
	}
}

func TestTroubleOfAChanceStrikesAboutThatOften(t *testing.T) {
	w := newWorld(t, simulation.Options{Seed: 7})
	w.SetTrouble(simulation.Trouble{Fail: 0.25})
	failed := 0
	once(w, func(p *simulation.Process) {
		for i := range 1000 {
			if _, err := p.API().GetNode(t.Context(), fmt.Sprint(i)); err != nil && !isNotFound(err) {
				failed++
			}
		}
	})
	w.Run(time.Second)
	if failed < 200 || failed > 300 {
		t.Errorf("%d of 1000 calls failed", failed)
	}
}

func isNotFound(err error) bool {
	var status interface{ Status() metav1.Status }
	return errors.As(err, &status) && status.Status().Reason == metav1.StatusReasonNotFound
}

func TestALateResultComesAfterOthers(t *testing.T) {
	w := newWorld(t, simulation.Options{})
	w.SetTrouble(simulation.Trouble{Late: 1})
	var took time.Duration
	once(w, func(p *simulation.Process) {
		p.Spawn(func(context.Context) func(time.Time) {
			began := w.Elapsed()
			return func(time.Time) { took = w.Elapsed() - began }
		})
	})
	w.Run(simulation.LateBy + time.Second)
	if took < time.Second {
		t.Errorf("it took %v", took)
	}
}

// A watch that broke tells by its next list what was made, what was changed, what was deleted, and what was made anew under its name.
func TestAWatchThatBreaksTellsWhatItMissed(t *testing.T) {
	w := newWorld(t, simulation.Options{})
	ctx := t.Context()
	create := func(name string) {
		if _, err := w.Store.CreateConfigMap(ctx, configMap(name)); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(name string) {
		if err := w.Store.DeleteConfigMap(ctx, simulation.Namespace, name); err != nil {
			t.Fatal(err)
		}
	}
	create("stays")
	create("goes")
	create("renewed")
	known := map[string]string{}
	w.Watch(func(e cluster.Event) {
		switch e := e.(type) {
		case cluster.Set:
			if cm, ok := e.Object.(*corev1.ConfigMap); ok {
				if uid, had := known[cm.Name]; had && uid != string(cm.UID) {
					t.Errorf("%s was made anew, and its deletion was not told", cm.Name)
				}
				known[cm.Name] = string(cm.UID)
			}
		case cluster.Unset:
			delete(known, e.Object.GetName())
		}
	})
	create("on its way")
	w.BreakWatches(time.Minute)
	remove("goes")
	remove("renewed")
	create("renewed")
	create("comes")
	w.Run(30 * time.Second)
	if len(known) != 3 {
		t.Errorf("in the gap it was told: %v", known)
	}
	w.Run(time.Minute)
	create("after")
	w.Run(time.Minute)
	want := map[string]string{}
	for _, cm := range simulation.List[*corev1.ConfigMap](w.Store) {
		want[cm.Name] = string(cm.UID)
	}
	if fmt.Sprint(known) != fmt.Sprint(want) {
		t.Errorf("it knows %v, and there is %v", known, want)
	}
}
