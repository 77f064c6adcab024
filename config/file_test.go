package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// begin are the first two lines of a file.
const begin = "apiVersion: poolkeeper.io/v1alpha1\nkind: Config\n"

func TestWhatIsWrongInTheFileIsToldWithLineFieldAndRemedy(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"an empty file", "", []string{`f.yaml: the file is empty: begin it with "apiVersion: poolkeeper.io/v1alpha1" and "kind: Config"`}},
		{"a file of comments", "# nothing\n", []string{`f.yaml: the file is empty: begin it with "apiVersion: poolkeeper.io/v1alpha1" and "kind: Config"`}},
		{"what is not YAML", "pools: [", []string{`f.yaml: this is not YAML: line 1: did not find expected node content`}},
		{"a list instead of fields", "- a\n", []string{`f.yaml:1: this has to be fields with values, one in a line`}},
		{"two documents", begin + "---\n" + begin, []string{`f.yaml: the file has more than one document: keep one`}},
		{"no version and kind", "pools: []\n", []string{
			`f.yaml:1: apiVersion: the field is missing: add "apiVersion: poolkeeper.io/v1alpha1"`,
			`f.yaml:1: kind: the field is missing: add "kind: Config"`,
		}},
		{"another version and kind", "apiVersion: v1\nkind: ConfigMap\n", []string{
			`f.yaml:1: apiVersion: "v1" is not known here: write "poolkeeper.io/v1alpha1"`,
			`f.yaml:2: kind: "ConfigMap" is not known here: write "Config"`,
		}},
		{"unknown fields", begin + "pool: []\ndefaults:\n  scaleDownUnneedTime: 3m\n  colour: red\npools:\n- match: web\n  maxsize: 3\n", []string{
			`f.yaml:3: pool: there is no such field; did you mean pools?`,
			`f.yaml:5: defaults.scaleDownUnneedTime: there is no such field; did you mean scaleDownUnneededTime?`,
			`f.yaml:6: defaults.colour: there is no such field; the known ones are allowPartial, autoUpgrade, autoheal, autoscale, canary, canaryNodes, canarySoak, channel, consolidate, cordonBlocked, drainTimeout, freeze, headroom, headroomPods, healConditions, healRebootFirst, healUnhealthyAfter, healUnregisteredAfter, ignoreDaemonSetsUtilization, ` +
				`max, maxBlocked, maxNodeAge, maxNodeProvisionTime, maxNodeStartupTime, maxSurge, maxUnavailable, maxUnhealthy, min, nativeUpgrade, releaseSoak, scaleDownGpuUtilizationThreshold, scaleDownUnneededTime, scaleDownUnreadyTime, scaleDownUtilizationThreshold, upgradePaused, version, window, zeroOrMax`,
			`f.yaml:9: pools[0].maxsize: there is no such field; did you mean max?`,
		}},
		{"a field that is there twice", begin + "pools:\n- match: web\n  min: 1\n  min: 2\n", []string{`f.yaml:6: pools[0].min: the field is already in line 5: keep one of the two`}},
		{"a field without a value", begin + "defaults:\n  window:\n", []string{`f.yaml:4: defaults.window: the value is missing: give one, or leave the field out`}},
		{"pools that are no list", begin + "pools:\n  web: {}\n", []string{`f.yaml:4: pools: this has to be a list, with "- " before each item`}},
		{"a pool that is a name", begin + "pools:\n- web\n", []string{`f.yaml:4: pools[0]: this has to be fields with values, one in a line`}},
		{"a list where one value belongs", begin + "defaults:\n  window: [monday, tuesday]\n", []string{`f.yaml:4: defaults.window: this has to be a single value`}},
		{"min above max", begin + "pools:\n- match: web\n  min: 5\n  max: 3\n", []string{`f.yaml:4: pools[0]: min is 5, but max is 3: lower min or raise max`}},
		{"limits for all pools", begin + "defaults: {min: 1}\n", []string{
			`f.yaml:3: defaults.min: every pool's provider says a min and a max, which win over defaults: write it under pools, with match: "*" for all of them`,
		}},
		{"pools without a name", begin + "pools:\n- min: 1\n- match: \"\"\n", []string{
			`f.yaml:4: pools[0].match: the field is missing: add a pool's name, or a pattern such as "web-*"`,
			`f.yaml:5: pools[1].match: this is empty: write a pool's name, or a pattern such as "web-*"`,
		}},
		{"the same pool twice", begin + "pools:\n- match: web\n- match: db\n- match: web\n", []string{
			`f.yaml:6: pools[2].match: "web" is already the match of pools[0]: make one entry of the two`,
		}},
		{"a pattern behind a wider one", begin + "pools:\n- match: \"*\"\n- match: web\n- match: db-*\n", []string{
			`f.yaml:6: pools[2].match: no pool gets here, since "*" of pools[0] matches them all before: move this entry to before that one`,
		}},
		{"values that can't be", begin + `defaults:
  autoscale: yes
  autoheal: 1
  scaleDownUtilizationThreshold: 60
  scaleDownUnneededTime: 600
  scaleDownUnreadyTime: -5m
  maxNodeProvisionTime: 0s
  healUnhealthyAfter: soon
  window: sunday 25:00
  version: 1.36
  maxSurge: 1.5
  maxUnavailable: 110%
pools:
- match: web
  min: -1
  max: 3.0
  headroomPods: 10x500m/1Gi, four
`, []string{
			`f.yaml:4: defaults.autoscale: "yes" is neither true nor false`,
			`f.yaml:5: defaults.autoheal: "1" is neither true nor false`,
			`f.yaml:6: defaults.scaleDownUtilizationThreshold: "60" is not a number from 0 to 1: write it as in 0.5`,
			`f.yaml:7: defaults.scaleDownUnneededTime: "600" is not a duration: write it as in 90s, 10m or 1h30m`,
			`f.yaml:8: defaults.scaleDownUnreadyTime: "-5m" is negative: give a duration that is not`,
			`f.yaml:9: defaults.maxNodeProvisionTime: "0s" is no time at all: give a duration above 0`,
			`f.yaml:10: defaults.healUnhealthyAfter: "soon" is not a duration: write it as in 90s, 10m or 1h30m`,
			`f.yaml:11: defaults.window: window "sunday 25:00": start "25:00" is not a time on the clock: write it as in "22:00", from 00:00 to 23:59`,
			`f.yaml:12: defaults.version: "1.36" lacks its patch version: write it as in "v1.36.3"`,
			`f.yaml:13: defaults.maxSurge: "1.5" is neither a number nor a percentage: write it as in "1" or "25%"`,
			`f.yaml:14: defaults.maxUnavailable: "110%" is neither a number nor a percentage: write it as in "1" or "25%"`,
			`f.yaml:17: pools[0].min: "-1" is negative: give 0 or a positive number`,
			`f.yaml:18: pools[0].max: "3.0" is not a whole number: write it as in 3`,
			`f.yaml:19: pools[0].headroomPods: "four" is not a number of pods with their size: write it as in "10x500m/1Gi"`,
		}},
		{"a pool that could never be rolled", begin + "pools:\n- match: web\n  maxSurge: 0\n- match: db\n  maxSurge: 0%\n  autoUpgrade: false\n", []string{
			`f.yaml:4: pools[0]: maxSurge (f.yaml:5: pools[0].maxSurge) and maxUnavailable (--upgrade-max-unavailable) are both 0, ` +
				`so that no node could be replaced: raise one of them, or set autoUpgrade to false`,
		}},
		{"an alias that bites its tail", begin + "pools: &a\n- *a\n", []string{`f.yaml:3: pools[0]: this has to be fields with values, one in a line`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			flags, err := parsed(need)
			if err != nil {
				t.Fatal(err)
			}
			_, err = parseFile("f.yaml", []byte(c.text), flags.flags)
			if err == nil {
				t.Fatal("want an error, got none")
			}
			if diff := cmp.Diff(strings.Join(c.want, "\n"), err.Error()); diff != "" {
				t.Errorf("the message (- want, + got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsWrongInFlagsAndFileIsToldTogether(t *testing.T) {
	path := write(t, begin+"pools:\n- match: web\n  window: sometimes\n")
	_, err := parsed(need, "--config="+path, "--scan-interval=0s")
	want := "--scan-interval is 0s: give a duration above 0\n" + path + `:5: pools[0].window: window "sometimes": want days, start, length and zone ` +
		`(the last two may be left out), or the word always: write it like "monday 22:00 4h Europe/Paris", "any 02:00" or "always"`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestAFileThatCannotBeReadIsNamed(t *testing.T) {
	folder := t.TempDir()
	for _, path := range []string{filepath.Join(folder, "missing.yaml"), folder} {
		_, err := parsed(need, "--config="+path)
		if err == nil || !strings.HasPrefix(err.Error(), "--config: the file can't be read, give the path of one that can: ") || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want an error that names --config and %s", err, path)
		}
	}
}

func TestAChangedFileIsReadAgainAndABrokenOneChangesNothing(t *testing.T) {
	path := write(t, begin+"pools: [{match: web, max: 5}]\n")
	c, err := parsed(need, "--config="+path)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name, text string
		changed    bool
		fails      bool
		max        int
	}{
		{"the same text", begin + "pools: [{match: web, max: 5}]\n", false, false, 5},
		{"another max", begin + "pools: [{match: web, max: 7}]\n", true, false, 7},
		{"a broken text", begin + "pools: [{match: web, max: many}]\n", false, true, 7},
		{"the broken text again", begin + "pools: [{match: web, max: many}]\n", false, true, 7},
		{"a good text again", begin, true, false, 9},
	} {
		if err := os.WriteFile(path, []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		changed, err := c.Reload()
		if changed != step.changed || (err != nil) != step.fails {
			t.Errorf("%s: got changed %t and %v", step.name, changed, err)
		}
		s, err := c.Settings("web", 0, 9, nil)
		if err != nil || s.Max != step.max {
			t.Errorf("%s: got max %d and %v, want %d", step.name, s.Max, err, step.max)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if changed, err := c.Reload(); changed || err == nil {
		t.Errorf("without a file: got changed %t and %v, want an error", changed, err)
	}
}

func TestWithoutAFileThereIsNothingToReload(t *testing.T) {
	c, err := parsed(need)
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := c.Reload(); changed || err != nil {
		t.Errorf("got changed %t and %v, want neither", changed, err)
	}
}

// write makes a file of the text.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
