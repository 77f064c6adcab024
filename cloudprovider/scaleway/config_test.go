package scaleway

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/poolkeeper/poolkeeper/cloudprovider/registry"
)

const (
	key   = "5e2f7b0c-3d1a-4f6b-9c8d-0a1b2c3d4e5f"
	other = "11111111-2222-4333-8444-555555555555"
)

// alone takes away what the machine on which the test runs may say.
func alone(t *testing.T) {
	t.Helper()
	for _, name := range []string{"SCW_ACCESS_KEY", "SCW_SECRET_KEY", "SCW_DEFAULT_REGION", "SCW_API_URL", "SCW_PROFILE", "SCW_INSECURE", "SCW_REGION", "SCW_TOKEN", ClusterEnv} {
		t.Setenv(name, "") // so that it is put back
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SCW_CONFIG_PATH", filepath.Join(t.TempDir(), "none.yaml"))
}

func TestWhereTheConfigurationComesFrom(t *testing.T) {
	saved := "access_key: SCWSAVED000000000000\nsecret_key: " + other + "\ndefault_region: nl-ams\nprofiles:\n  work:\n    secret_key: " + key + "\n    default_region: pl-waw\n"
	for name, c := range map[string]struct {
		file, saved string
		env         map[string]string
		want        string // region, cluster, API, access key, secret key
	}{
		"the file alone":              {file: "region: fr-par\ncluster: main\nsecretKey: " + key, want: "fr-par main  " + anyAccessKey + " " + key},
		"the environment alone":       {env: map[string]string{ClusterEnv: "main", "SCW_SECRET_KEY": key, "SCW_DEFAULT_REGION": "fr-par", "SCW_API_URL": "http://here"}, want: "fr-par main http://here " + anyAccessKey + " " + key},
		"the SDK's file":              {file: "cluster: main", saved: saved, want: "nl-ams main  SCWSAVED000000000000 " + other},
		"a profile of the SDK's file": {file: "cluster: main\nprofile: work", saved: saved, want: "pl-waw main  SCWSAVED000000000000 " + key},
		"a profile by environment":    {file: "cluster: main", saved: saved, env: map[string]string{"SCW_PROFILE": "work"}, want: "pl-waw main  SCWSAVED000000000000 " + key},
		"the file wins over the environment, and that over the SDK's file": {
			file: "cluster: main\nregion: it-mil\n", saved: saved, env: map[string]string{"SCW_DEFAULT_REGION": "fr-par", "SCW_SECRET_KEY": key, ClusterEnv: "other"},
			want: "it-mil main  SCWSAVED000000000000 " + key,
		},
	} {
		t.Run(name, func(t *testing.T) {
			alone(t)
			for variable, value := range c.env {
				t.Setenv(variable, value)
			}
			if c.saved != "" {
				path := filepath.Join(t.TempDir(), "config.yaml")
				if err := os.WriteFile(path, []byte(c.saved), 0o600); err != nil {
					t.Fatal(err)
				}
				t.Setenv("SCW_CONFIG_PATH", path)
			}
			got, err := parse("scaleway.yaml", []byte(c.file))
			if err != nil {
				t.Fatal(err)
			}
			if text := fmt.Sprintf("%s %s %s %s %s", got.Region, got.Cluster, got.APIURL, got.credentials().access, got.credentials().secret); text != c.want {
				t.Errorf("got  %s\nwant %s", text, c.want)
			}
		})
	}
}

func TestASecretKeyCanBeInAFileBesideTheOther(t *testing.T) {
	alone(t)
	folder := t.TempDir()
	name := filepath.Join(folder, "scaleway.yaml")
	for path, content := range map[string]string{name: "region: fr-par\ncluster: main\nsecretKeyFile: key", filepath.Join(folder, "key"): key + "\n"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := read(name)
	if err != nil || got.credentials().secret != key {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestLimitsAndThePolicyOfUpgradesAreRead(t *testing.T) {
	alone(t)
	got, err := parse("f", []byte("region: fr-par\ncluster: main\nsecretKey: "+key+"\npools:\n  web: {min: 0, max: 20}\n  gpu: {max: 2}\nupgrade:\n  maxUnavailable: 1\n  maxTerminationGracePeriod: 30m\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Limits{"web": {Min: new(0), Max: new(20)}, "gpu": {Max: new(2)}}
	if diff := cmp.Diff(want, got.Pools); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff(&UpgradePolicy{MaxSurge: 1, MaxUnavailable: 1, Grace: 30 * time.Minute}, got.Upgrade); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWhatIsWrongIsNamedWithFileLineFieldAndRemedy(t *testing.T) {
	good := "region: fr-par\ncluster: main\nsecretKey: " + key + "\n"
	for name, c := range map[string]struct{ file, want string }{
		"nothing at all":           {"", "f: cluster: is missing; give the cluster's ID or name, there or in POOLKEEPER_SCALEWAY_CLUSTER"},
		"no key":                   {"region: fr-par\ncluster: main", "f: secretKey: is missing"},
		"a key that is none":       {"region: fr-par\ncluster: main\nsecretKey: hunter2", "f:3: secretKey: is not a secret key"},
		"an access key that isn't": {good + "accessKey: hunter2", "f:4: accessKey: is not an access key"},
		"a region that is none":    {"region: paris\ncluster: main\nsecretKey: " + key, `f:1: region: "paris" is not a region; use one such as fr-par`},
		"a URL that is none":       {good + "apiURL: here", "f:4: apiURL: is not a URL"},
		"an unknown field":         {good + "zone: fr-par-1", "f:4: zone: unknown field; the known ones are accessKey, apiURL"},
		"one of a pool":            {good + "pools:\n  web:\n    size: 3", "f:6: size: unknown field; the known ones are max, min"},
		"one of the upgrade":       {good + "upgrade:\n  surge: 3", "f:5: surge: unknown field; the known ones are maxSurge"},
		"a number that is none":    {good + "pools:\n  web:\n    min: many", `f:6: pools.web.min: "many" is not a number of nodes`},
		"a max below the min":      {good + "pools:\n  web: {min: 3, max: 2}", "f:5: pools.web.max: 2 is below the min of 3; raise the max or lower the min"},
		"an upgrade that can't":    {good + "upgrade: {maxSurge: 0}", "f:4: upgrade.maxSurge: is 0, as is maxUnavailable"},
		"a grace that is too long": {good + "upgrade: {maxTerminationGracePeriod: 2h}", `f:4: upgrade.maxTerminationGracePeriod: "2h" is not a time that the service takes`},
		"a list for a value":       {good + "profile: [a]", "f:4: has to be a single value"},
		"a field twice":            {good + "region: nl-ams", "f:4:"},
		"no YAML":                  {"region: [", "f:"},
		"no profile":               {good + "profile: work", "f:4: profile:"},
		"no key file":              {"region: fr-par\ncluster: main\nsecretKeyFile: nowhere", "f:3: secretKeyFile:"},
	} {
		t.Run(name, func(t *testing.T) {
			alone(t)
			_, err := parse("f", []byte(c.file))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), key)) {
				t.Errorf("the key is in the error: %v", err)
			}
		})
	}
}

func TestKeysAreNeverPrinted(t *testing.T) {
	alone(t)
	config, err := parse("f", []byte("region: fr-par\ncluster: main\naccessKey: SCWSAVED000000000000\nsecretKey: "+key))
	if err != nil {
		t.Fatal(err)
	}
	provider, err := build(config, registry.Options{Clock: clocktesting.NewFakePassiveClock(time.Time{})})
	if err != nil {
		t.Fatal(err)
	}
	for _, thing := range []any{config, &config, config.credentials, provider} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
			if text := fmt.Sprintf(format, thing); strings.Contains(text, key) || strings.Contains(text, "SCWSAVED") {
				t.Errorf("%s of a %T prints %s", format, thing, text)
			}
		}
	}
}

func TestAProviderNeedsAClock(t *testing.T) {
	if _, err := build(Config{}, registry.Options{}); err == nil {
		t.Error("a provider without a clock was made")
	}
	if _, err := build(Config{Region: "fr-par", credentials: keys{anyAccessKey, key}.hidden()}, registry.Options{Clock: clocktesting.NewFakePassiveClock(time.Time{}), UserAgent: "line\nbreak"}); err == nil || strings.Contains(err.Error(), key) {
		t.Errorf("a user agent with a line break gives %v", err)
	}
}

func FuzzConfigurationFiles(f *testing.F) {
	f.Add("region: fr-par\ncluster: main\nsecretKey: " + key)
	f.Add("pools: {a: {min: 1, max: 2}}\nupgrade: {maxSurge: 1}")
	f.Add("pools: [")
	f.Add("&a [*a]")
	f.Add("secretKey: {" + key + ": 1}")
	f.Fuzz(func(t *testing.T, content string) {
		_, err := parse("f", []byte(content))
		if err != nil && strings.Contains(err.Error(), key) {
			t.Errorf("the key is in the error: %v", err)
		}
	})
}

func TestTheFileInTheManualIsRight(t *testing.T) {
	alone(t)
	t.Setenv("SCW_SECRET_KEY", key)
	manual, err := os.ReadFile("../../docs/providers/scaleway.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(manual), "```yaml\n")
	example, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the manual has no example")
	}
	if _, err := parse("docs/providers/scaleway.md", []byte(example)); err != nil {
		t.Error(err)
	}
	for field := range strings.SplitSeq(strings.Join([]string{fields, poolFields, upgradeFields}, ", "), ", ") {
		if !strings.Contains(string(manual), field) {
			t.Errorf("the manual says nothing of the field %s", field)
		}
	}
}
