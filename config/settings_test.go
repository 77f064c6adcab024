package config

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/window"
)

// configured is a Config with flags and the text of a file; an empty text is no file.
func configured(t *testing.T, file string, flags ...string) *Config {
	t.Helper()
	flags = append(flags, need)
	if file != "" {
		flags = append(flags, "--config="+write(t, begin+file))
	}
	c, err := parsed(flags...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func opened(t *testing.T, text string) window.Window {
	t.Helper()
	w, err := window.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func frozen(t *testing.T, text string) window.Freezes {
	t.Helper()
	f, err := window.ParseFreezes(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWithoutAWordAboutAPoolTheDefaultsHold(t *testing.T) {
	got, err := configured(t, "").Settings("web", 1, 5, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := cluster.Settings{
		Autoscale: true, Autoheal: true, AutoUpgrade: true, Min: 1, Max: 5,
		UtilizationThreshold: 0.5, GPUUtilizationThreshold: 0.5, UnneededTime: 10 * time.Minute, UnreadyTime: 20 * time.Minute,
		MaxNodeProvisionTime: 15 * time.Minute, MaxNodeStartupTime: 15 * time.Minute,
		UnhealthyAfter: 5 * time.Minute, UnregisteredAfter: 15 * time.Minute,
		MaxSurge: intstr.FromInt32(1), MaxUnavailable: intstr.FromInt32(0), DrainTimeout: 12 * time.Minute,
		MaxUnhealthy: intstr.FromString("20%"), MaxBlocked: intstr.FromString("10%"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("- want, + got:\n%s", diff)
	}
}

func TestTheEntryWinsThenTheProviderThenTheDefaultsThenTheFlag(t *testing.T) {
	const (
		flag     = "--scale-down-unneeded-time=1m"
		defaults = "defaults: {scaleDownUnneededTime: 2m}\n"
		entry    = "pools: [{match: web, scaleDownUnneededTime: 4m}]\n"
	)
	provider := &cloudprovider.Options{ScaleDownUnneededTime: ptr.To(3 * time.Minute)}
	for _, c := range []struct {
		name, file string
		options    *cloudprovider.Options
		want       time.Duration
	}{
		{"the flag alone", "", nil, time.Minute},
		{"the defaults over the flag", defaults, nil, 2 * time.Minute},
		{"the provider over the flag", "", provider, 3 * time.Minute},
		{"the provider over the defaults", defaults, provider, 3 * time.Minute},
		{"the entry over the flag", entry, nil, 4 * time.Minute},
		{"the entry over the defaults", defaults + entry, nil, 4 * time.Minute},
		{"the entry over the provider", entry, provider, 4 * time.Minute},
		{"the entry over all", defaults + entry, provider, 4 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := configured(t, c.file, flag).Settings("web", 0, 9, c.options)
			if err != nil || s.UnneededTime != c.want {
				t.Errorf("got %s and %v, want %s", s.UnneededTime, err, c.want)
			}
		})
	}
}

// others is a value for every setting that is none of the defaults.
const others = `autoscale: false
autoheal: false
autoUpgrade: false
scaleDownUtilizationThreshold: 0.25
scaleDownGpuUtilizationThreshold: 0.75
ignoreDaemonSetsUtilization: true
consolidate: true
scaleDownUnneededTime: 11m
scaleDownUnreadyTime: 12m
maxNodeProvisionTime: 13m
maxNodeStartupTime: 14m
healUnhealthyAfter: 16m
healUnregisteredAfter: 17m
healConditions: KernelDeadlock=True(DockerHung) 10m reboot
healRebootFirst: true
window: sat 01:00 3h
version: v1.35.4
maxSurge: 25%
maxUnavailable: 2
drainTimeout: 18m
freeze: 12-18/01-03 no-minor Europe/Paris
channel: pinned
releaseSoak: 48h
maxNodeAge: 720h
nativeUpgrade: true
upgradePaused: true
canaryNodes: 2
canarySoak: 19m
maxUnhealthy: 3
maxBlocked: 30%
cordonBlocked: true
`

func TestEverySettingCanBeSaidByEntryDefaultsAndFlag(t *testing.T) {
	want := cluster.Settings{
		Min: 2, Max: 4, UtilizationThreshold: 0.25, GPUUtilizationThreshold: 0.75, IgnoreDaemonSetsUtilization: true, Consolidate: true, UnneededTime: 11 * time.Minute, UnreadyTime: 12 * time.Minute,
		MaxNodeProvisionTime: 13 * time.Minute, MaxNodeStartupTime: 14 * time.Minute, UnhealthyAfter: 16 * time.Minute, UnregisteredAfter: 17 * time.Minute,
		Version: "v1.35.4", Window: opened(t, "sat 01:00 3h"), MaxSurge: intstr.FromString("25%"), MaxUnavailable: intstr.FromInt32(2),
		DrainTimeout: 18 * time.Minute, Freezes: frozen(t, "12-18/01-03 no-minor Europe/Paris"), Channel: cluster.ChannelPinned, ReleaseSoak: 48 * time.Hour,
		MaxNodeAge: 720 * time.Hour, Native: true, UpgradePaused: true, CanaryNodes: 2, CanarySoak: 19 * time.Minute,
		MaxUnhealthy: intstr.FromInt32(3), MaxBlocked: intstr.FromString("30%"), CordonBlocked: true,
		RebootFirst: true, Conditions: []cluster.ConditionRule{{
			Type: "KernelDeadlock", Status: "True", Reasons: []string{"DockerHung"}, After: 10 * time.Minute, Remedy: cluster.RebootOnce,
		}},
	}
	flagOf := map[string]string{}
	for _, s := range settings() {
		flagOf[s.field] = s.flag
	}
	var flags []string
	for line := range strings.Lines(others) {
		field, text, _ := strings.Cut(strings.TrimSpace(line), ": ")
		flags = append(flags, "--"+flagOf[field]+"="+text)
	}
	indented := "  " + strings.ReplaceAll(strings.TrimSpace(others), "\n", "\n  ") + "\n"
	for _, c := range []struct {
		name       string
		config     *Config
		least, max int
	}{
		{"entry", configured(t, "pools:\n- match: web\n  min: 2\n  max: 4\n"+indented), 0, 9},
		{"defaults", configured(t, "defaults:\n"+indented), 2, 4},
		{"flags", configured(t, "", flags...), 2, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.config.Settings("web", c.least, c.max, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(sameWindow)); diff != "" {
				t.Errorf("- want, + got:\n%s", diff)
			}
		})
	}
}

func TestAPoolsRoomForPodsIsSaidInTheFile(t *testing.T) {
	c := configured(t, "defaults: {headroomPods: 1x1/1Gi}\npools:\n- {match: web, headroomPods: \"10x500m/1Gi, 2x4/16Gi\"}\n- {match: none, headroomPods: \"\"}\n")
	for pool, want := range map[string]string{"web": "[10x500m/1Gi 2x4/16Gi]", "other": "[1x1/1Gi]", "none": "[]"} {
		s, err := c.Settings(pool, 0, 9, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(s.HeadroomPods); got != want {
			t.Errorf("pool %s keeps %s, want %s", pool, got, want)
		}
	}
}

func sameWindow(a, b window.Window) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return a.String() == b.String()
}

func TestTheProvidersOwnOptionsHold(t *testing.T) {
	c := configured(t, "")
	s, err := c.Settings("web", 1, 3, &cloudprovider.Options{
		ScaleDownUtilizationThreshold: ptr.To(0.0), ScaleDownUnneededTime: ptr.To(time.Duration(0)), ScaleDownUnreadyTime: ptr.To(time.Hour),
		MaxNodeProvisionTime: ptr.To(time.Duration(0)), MaxNodeStartupTime: ptr.To(time.Duration(0)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.UtilizationThreshold != 0 || s.UnneededTime != 0 || s.UnreadyTime != time.Hour {
		t.Errorf("got %+v, want the provider's threshold and times", s)
	}
	if s.MaxNodeProvisionTime != 15*time.Minute || s.MaxNodeStartupTime != 15*time.Minute || s.UnregisteredAfter != 15*time.Minute {
		t.Errorf("got %+v, want a time to come up of 0 to count as not said", s)
	}
}

func TestTheTimeToRegisterFollowsTheTimeToComeUp(t *testing.T) {
	c := configured(t, "pools:\n- {match: slow, maxNodeProvisionTime: 40m}\n- {match: quick, healUnregisteredAfter: 2m}\n- {match: both, maxNodeProvisionTime: 40m, healUnregisteredAfter: 3m}\n")
	for pool, want := range map[string]time.Duration{"slow": 40 * time.Minute, "quick": 2 * time.Minute, "both": 3 * time.Minute, "other": 15 * time.Minute} {
		s, err := c.Settings(pool, 0, 9, nil)
		if err != nil || s.UnregisteredAfter != want {
			t.Errorf("%s: got %s and %v, want %s", pool, s.UnregisteredAfter, err, want)
		}
	}
}

func TestTheDrainTimeoutFollowsUpstreamsFlags(t *testing.T) {
	for _, c := range []struct {
		flags []string
		want  time.Duration
	}{
		{nil, 12 * time.Minute},
		{[]string{"--max-graceful-termination-sec=3600"}, 62 * time.Minute},
		{[]string{"--max-pod-eviction-time=5m"}, 15 * time.Minute},
		{[]string{"--max-graceful-termination-sec=3600", "--max-pod-eviction-time=5m"}, 65 * time.Minute},
		{[]string{"--drain-timeout=7m", "--max-graceful-termination-sec=3600"}, 7 * time.Minute},
		{[]string{"--drain-timeout=12m", "--max-graceful-termination-sec=3600"}, 12 * time.Minute},
	} {
		s, err := configured(t, "", c.flags...).Settings("web", 0, 9, nil)
		if err != nil || s.DrainTimeout != c.want {
			t.Errorf("%q: got %s and %v, want %s", c.flags, s.DrainTimeout, err, c.want)
		}
	}
}

func TestMinAndMaxAreNeverOutsideTheProviders(t *testing.T) {
	for _, c := range []struct {
		entry    string
		min, max int
		wrong    string
	}{
		{"", 2, 6, ""},
		{", min: 3, max: 5", 3, 5, ""},
		{", min: 1, max: 9", 2, 6, ""},
		{", max: 3", 2, 3, ""},
		{", min: 6", 6, 6, ""},
		{", min: 7", 0, 0, "pool web: min is 7 (FILE:3: pools[0].min), but max is 6 (the provider's): lower min or raise max"},
		{", max: 1", 0, 0, "pool web: min is 2 (the provider's), but max is 1 (FILE:3: pools[0].max): lower min or raise max"},
	} {
		t.Run(c.entry, func(t *testing.T) {
			config := configured(t, "pools: [{match: web"+c.entry+"}]\n")
			s, err := config.Settings("web", 2, 6, nil)
			if c.wrong != "" {
				want := strings.ReplaceAll(c.wrong, "FILE", config.path)
				if err == nil || err.Error() != want {
					t.Fatalf("got %v, want %s", err, want)
				}
				return
			}
			if err != nil || s.Min != c.min || s.Max != c.max {
				t.Errorf("got %d to %d and %v, want %d to %d", s.Min, s.Max, err, c.min, c.max)
			}
		})
	}
}

func TestWhatAProviderSaysIsChecked(t *testing.T) {
	c := configured(t, "")
	for _, p := range []struct {
		min, max int
		options  *cloudprovider.Options
		want     string
	}{
		{-1, 3, nil, "pool web: min is -1 (the provider's): give 0 or a positive number"},
		{4, 3, nil, "pool web: min is 4 (the provider's), but max is 3 (the provider's): lower min or raise max"},
		{
			0, 3, &cloudprovider.Options{ScaleDownUtilizationThreshold: ptr.To(1.5), MaxNodeProvisionTime: ptr.To(-time.Second)},
			"pool web: the scale-down utilization threshold is 1.5 (the provider's): give a number from 0 to 1; and " +
				"the max node provision time is -1s (the provider's): give a duration that is not negative",
		},
	} {
		if _, err := c.Settings("web", p.min, p.max, p.options); err == nil || err.Error() != p.want {
			t.Errorf("got %v, want %s", err, p.want)
		}
	}
}

func TestOneEntryHoldsForAPool(t *testing.T) {
	c := configured(t, `pools:
- {match: "web-?", version: v1.0.1}
- {match: web-*, version: v1.0.2}
- {match: "*-db", version: v1.0.3, window: never}
- {match: web-db, version: v1.0.4}
- {match: a.b, version: v1.0.5}
- {match: "MachinePool/*", version: v1.0.6}
`, "--upgrade-version=v1.0.0", "--upgrade-window=always")
	for pool, want := range map[string]string{
		"web-a":               "v1.0.1", // the first pattern that matches
		"web-aa":              "v1.0.2",
		"front-db":            "v1.0.3",
		"web-db":              "v1.0.4", // the name comes before all patterns
		"a.b":                 "v1.0.5",
		"axb":                 "v1.0.0", // a dot is a dot
		"MachinePool/ns/name": "v1.0.6", // a slash is nothing special
		"web":                 "v1.0.0",
		"my-web-a":            "v1.0.0", // a pattern is for the whole name
	} {
		s, err := c.Settings(pool, 0, 9, nil)
		if err != nil || s.Version != want {
			t.Errorf("%s: got %s and %v, want %s", pool, s.Version, err, want)
		}
		if rolls := s.Window != nil; rolls == (pool == "front-db") {
			t.Errorf("%s: got window %v; never is to win over the flag where it is said", pool, s.Window)
		}
	}
}

func TestProvidersAreGivenTheDefaults(t *testing.T) {
	c := configured(t, "defaults: {scaleDownUnneededTime: 3m}\n", "--scale-down-unready-time=4m", "--ignore-daemonsets-utilization")
	want := cloudprovider.Options{
		ScaleDownUtilizationThreshold: ptr.To(0.5), ScaleDownGpuUtilizationThreshold: ptr.To(0.5), ScaleDownUnneededTime: ptr.To(3 * time.Minute), ScaleDownUnreadyTime: ptr.To(4 * time.Minute),
		MaxNodeProvisionTime: ptr.To(15 * time.Minute), MaxNodeStartupTime: ptr.To(15 * time.Minute), IgnoreDaemonSetsUtilization: ptr.To(true),
	}
	if diff := cmp.Diff(want, c.ProviderDefaults()); diff != "" {
		t.Errorf("- want, + got:\n%s", diff)
	}
}
