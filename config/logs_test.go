package config

import (
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
