package config

import (
	"strings"
	"testing"

	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
)

func TestTheFlagsAboutLogsTakeEffect(t *testing.T) {
	c, err := parsed(need, "--v=4")
	if err != nil {
		t.Fatal(err)
	}
	if klog.V(4).Enabled() {
		t.Fatal("the log has taken the flags before it was asked to")
	}
	if err := c.SetupLogs(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := logsapi.ResetForTest(nil); err != nil {
			t.Error(err)
		}
	})
	if !klog.V(4).Enabled() || klog.V(5).Enabled() {
		t.Error("the log is not at verbosity 4")
	}
	if err := c.SetupLogs(); err == nil {
		t.Error("want an error when logs are set up a second time")
	}
}

// From 8 on the bodies of requests to the API server would be in the log.
func TestBodiesOfRequestsAreNeverLogged(t *testing.T) {
	for _, line := range []string{"--v=8", "--v=10", "--v=4 --vmodule=request=10", "--v=4 --vmodule=watch=2,req*=8"} {
		c, err := parsed(append([]string{need}, strings.Fields(line)...)...)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "7 is the most") {
			t.Errorf("%s warns of %q", line, c.Warnings)
		}
		if c.logs.Verbosity > 7 {
			t.Errorf("%s sets the verbosity to %d", line, c.logs.Verbosity)
		}
		for _, module := range c.logs.VModule {
			if module.Verbosity > 7 {
				t.Errorf("%s sets that of %s to %d", line, module.FilePattern, module.Verbosity)
			}
		}
	}
	if c, err := parsed(need, "--v=7", "--vmodule=request=7"); err != nil || len(c.Warnings) != 0 {
		t.Errorf("7 is taken as it is: %v %v", c, err)
	}
}

func TestLogsCanBeJSON(t *testing.T) {
	c, err := parsed(need, "--logging-format=json")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SetupLogs(); err != nil {
		t.Error(err)
	}
	t.Cleanup(func() {
		if err := logsapi.ResetForTest(nil); err != nil {
			t.Error(err)
		}
	})
}
