package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const output = `goos: linux
cpu: Some Processor
BenchmarkWorkloads/up-50k-2         	       3	 107031350 ns/op	  1000 asked	         0 leave	         7 left	34853587 B/op	  184992 allocs/op
BenchmarkWorkloads/up-50k-bare-2         	       3	 1 ns/op
PASS
`

func TestALineOfABenchmarkIsRead(t *testing.T) {
	r, err := parse(output, "BenchmarkWorkloads/up-50k")
	if err != nil {
		t.Fatal(err)
	}
	if r.time != 107031350 || r.bytes != 34853587 || r.allocs != 184992 || r.also["asked"] != 1000 || r.also["left"] != 7 || r.cpu != "Some Processor" {
		t.Errorf("read %+v", r)
	}
}

func TestAWorkloadThatDidNotRunIsNotTakenForAnother(t *testing.T) {
	if _, err := parse(output, "BenchmarkWorkloads/up"); !errors.Is(err, errNone) {
		t.Errorf("got %v", err)
	}
}

func TestALineShowsTheRatioAndAMissedTarget(t *testing.T) {
	l := line{
		id: "up-50k", what: "pods", target: 100 * time.Millisecond,
		peers: []peer{took(karpenter, 30*time.Second, 0, 0), took(clusterAutoscaler, 10*time.Second, 2*gb, 1000)},
	}
	var text strings.Builder
	printLine(&text, l, result{time: 200 * time.Millisecond, bytes: 20 * mb, also: map[string]float64{"asked": 1000}})
	for _, want := range []string{"200 ms", "!100 ms", "K 30 s; CA 10 s 2 GB n1000", "50×, bytes 100×", " 1000 "} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in %q", want, text.String())
		}
	}
}

func TestGrowthIsCalledLinearOrNot(t *testing.T) {
	for _, test := range []struct {
		fourfold time.Duration
		want     string
	}{{4 * time.Second, "linear or better"}, {6 * time.Second, "MORE THAN LINEAR"}} {
		var text strings.Builder
		printGrowth(&text, family{what: "x"}, [3]time.Duration{time.Second, 2 * time.Second, test.fourfold})
		if !strings.Contains(text.String(), test.want) {
			t.Errorf("%q is not in %q", test.want, text.String())
		}
	}
}

func TestFiguresAreShort(t *testing.T) {
	for want, got := range map[string]string{
		"9.1 ms": short(9123 * time.Microsecond), "107 ms": short(107031350), "19 s": short(19400 * time.Millisecond), "35 MB": size(34853587),
		"185k": number(184992), "650 µs": short(650 * time.Microsecond),
	} {
		if want != got {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
