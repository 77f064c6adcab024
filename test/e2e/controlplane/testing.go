package controlplane

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// Main runs the tests of a package with one control plane that they share, for TestMain:
//
//	var plane *controlplane.ControlPlane
//
//	func TestMain(m *testing.M) {
//		os.Exit(controlplane.Main(m, controlplane.Options{}, func(c *controlplane.ControlPlane) { plane = c }))
//	}
//
// It returns the exit code. A component that ended by itself fails the run. After a failure the ends of all logs are shown and the logs kept.
func Main(m interface{ Run() int }, options Options, share func(*ControlPlane)) int {
	began := time.Now()
	c, err := Start(context.Background(), options)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer c.Stop()
	fmt.Printf("the control plane was up after %v\n", time.Since(began).Round(100*time.Millisecond))
	share(c)

	code := m.Run()
	if err := c.Crashed(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if code != 0 {
		fmt.Fprint(os.Stderr, c.Tails(15))
		fmt.Fprintln(os.Stderr, "all logs are kept in", c.KeepLogs())
	}
	return code
}

// ForTest starts a control plane for one test alone: for those that stop components or need flags of their own.
func ForTest(t testing.TB, options Options) *ControlPlane {
	t.Helper()
	c, err := Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Crashed(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%sall logs are kept in %s", c.Tails(15), c.KeepLogs())
		}
		c.Stop()
	})
	return c
}

// Eventually asks until check returns no error, and fails the test with its last error when the limit is over. The limit guards against
// waiting for ever; it should be far above what is needed on a busy machine.
func Eventually(t testing.TB, limit time.Duration, check func(ctx context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, limit, true, func(ctx context.Context) (bool, error) {
		last = check(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("after %v still: %v", limit, last)
	}
}
