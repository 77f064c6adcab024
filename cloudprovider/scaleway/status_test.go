package scaleway_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/scaleway/fake"
)

func TestEveryStatusOfANodeIsTakenForWhatItIs(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{}, fake.PoolSpec{Name: "web", Size: 1})
	b.pass(0)
	id := b.instances("web")[0].ID
	for status, want := range map[string]cloudprovider.InstanceState{
		"creating": cloudprovider.InstanceCreating, "starting": cloudprovider.InstanceCreating, "registering": cloudprovider.InstanceRunning,
		"ready": cloudprovider.InstanceRunning, "not_ready": cloudprovider.InstanceRunning, "rebooting": cloudprovider.InstanceRunning,
		"upgrading": cloudprovider.InstanceRunning, "locked": cloudprovider.InstanceRunning, "deleting": cloudprovider.InstanceDeleting,
		"creation_error": cloudprovider.InstanceCreating, "unknown": cloudprovider.InstanceRunning, "a_word_of_next_year": cloudprovider.InstanceRunning,
	} {
		b.cloud.SetNodeStatus(id, status)
		b.pass(0)
		one := b.instances("web")[0]
		if one.Status.State != want || (one.Status.ErrorInfo != nil) != (status == "creation_error") || one.Healthy != cloudprovider.HealthUnknown {
			t.Errorf("%s is taken for %+v, health %q; want %s", status, one.Status, one.Healthy, want)
		}
	}
	b.cloud.SetNodeStatus(id, "deleted")
	b.pass(0)
	if list := b.instances("web"); len(list) > 0 {
		t.Errorf("a node that is deleted is listed: %+v", list)
	}
}

func TestANodeIsNoInstanceBeforeItHasAMachine(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{}, fake.PoolSpec{Name: "web", Size: 1, Tags: limits("1", "5")})
	b.pass(time.Hour)
	b.must(b.group("web").IncreaseSize(t.Context(), 2))
	b.pass(time.Second)
	if list := b.instances("web"); len(list) != 1 {
		t.Errorf("%d instances, want the one that has a machine", len(list))
	}
	b.wantSize("web", 3)
	b.pass(20 * time.Second)
	if list := b.instances("web"); len(list) != 3 || !strings.HasPrefix(list[2].ID, "scaleway://instance/fr-par-1/") || list[2].Status.State != cloudprovider.InstanceCreating {
		t.Errorf("once they have machines: %+v", list)
	}
}

func TestWhatHasNoMachineYetIsTakenBackByItsIDAndNothingThatServesIsLost(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{}, fake.PoolSpec{Name: "web", Size: 2, Tags: limits("1", "9")})
	b.pass(time.Hour)
	old := b.instances("web")
	b.must(b.group("web").IncreaseSize(t.Context(), 2))
	b.must(b.group("web").DecreaseTargetSize(t.Context(), -1))
	b.wantSize("web", 3)
	for _, r := range b.cloud.Requests() {
		if r.Method == http.MethodPatch && strings.TrimSpace(r.Body) != `{"size":4}` {
			t.Errorf("a size was set to take back a node: %s", r.Body)
		}
	}
	b.pass(5 * time.Minute)
	if list := b.instances("web"); len(list) != 3 || list[0].ID != old[0].ID || list[1].ID != old[1].ID {
		t.Errorf("the instances are %+v, before they were %+v", list, old)
	}
	b.wantClass(b.group("web").DecreaseTargetSize(t.Context(), -1), cloudprovider.ClassInvalid)
	b.pass(5 * time.Minute)
	if n := len(b.instances("web")); n != 3 {
		t.Errorf("%d instances are left of 3", n)
	}
}

func TestASizeThatSomebodyElseSetIsWhatAnIncreaseStartsFrom(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{}, fake.PoolSpec{Name: "web", Size: 2, Tags: limits("1", "9")})
	b.pass(0)
	b.cloud.Resize("web", 5) // by a person, and not seen here
	b.must(b.group("web").IncreaseSize(t.Context(), 1))
	b.wantSize("web", 6)
	b.cloud.Resize("web", 9)
	b.wantClass(b.group("web").IncreaseSize(t.Context(), 1), cloudprovider.ClassLimit)
	b.cloud.Resize("web", 3)
	victim := b.instances("web")[0]
	b.must(b.group("web").DeleteNodes(t.Context(), []*corev1.Node{nodeOf(victim)}))
	b.wantSize("web", 2)
}

func TestAnAnswerThatWasLostLeavesTheQuestionOpen(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{}, fake.PoolSpec{Name: "web", Size: 2, Tags: limits("1", "9")})
	b.pass(0)
	b.cloud.Inject(fake.Fault{Method: http.MethodPatch, Late: true, Status: http.StatusGatewayTimeout, Times: 1})
	b.wantClass(b.group("web").IncreaseSize(t.Context(), 1), cloudprovider.ClassTransient)
	b.pass(0)
	b.wantSize("web", 3) // it had worked
	victim := nodeOf(b.instances("web")[0])
	b.cloud.Inject(fake.Fault{Method: http.MethodDelete, Late: true, Status: http.StatusGatewayTimeout, Times: 1})
	b.wantClass(b.group("web").DeleteNodes(t.Context(), []*corev1.Node{victim}), cloudprovider.ClassTransient)
	b.must(b.group("web").DeleteNodes(t.Context(), []*corev1.Node{victim})) // the service refuses: it is being deleted
	b.pass(0)
	b.wantSize("web", 2)
}

func TestMinAndMaxAreTheConfigurationsElseTheTagsElseTheServices(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{},
		fake.PoolSpec{Name: "both", Size: 1, MinSize: 1, MaxSize: 3, Tags: limits("2", "8")},
		fake.PoolSpec{Name: "service", Size: 2, MinSize: 1, MaxSize: 4, Tags: []string{"foo=bar"}},
		fake.PoolSpec{Name: "tag", Size: 2, MinSize: 1, MaxSize: 4, Tags: []string{"poolkeeper-min=0"}},
		fake.PoolSpec{Name: "wrong", Size: 1, Tags: []string{"poolkeeper-max=many"}},
		fake.PoolSpec{Name: "crossed", Size: 1, Tags: limits("5", "2")},
	)
	b.config = "pools:\n  both: {min: 3}\n"
	b.provider = b.connect()
	b.pass(0)
	got := map[string]string{}
	for _, group := range b.provider.NodeGroups() {
		got[group.Id()] = fmt.Sprintf("%d to %d", group.MinSize(), group.MaxSize())
	}
	want := map[string]string{"both": "3 to 8", "service": "1 to 4", "tag": "0 to 4", "wrong": "0 to 0", "crossed": "0 to 0"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for name, words := range map[string]string{"wrong": "poolkeeper-max=3", "crossed": "the min of 5 is above the max of 2"} {
		_, err := b.group(name).TargetSize(t.Context())
		b.wantClass(err, cloudprovider.ClassInvalid)
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("pool %s: %v; want %q in it", name, err, words)
		}
	}
}

func TestTheServicesOwnMinAndMaxBindOnlyWhileItsAutoscalerIsOn(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{}, fake.PoolSpec{Name: "web", Size: 2, MinSize: 1, MaxSize: 2, Autoscaling: true, Tags: limits("1", "5")})
	b.pass(0)
	b.wantClass(b.group("web").IncreaseSize(t.Context(), 1), cloudprovider.ClassLimit)
	b.cloud.SetPool("web", func(s *fake.PoolSwitches) { s.Autoscaling = false })
	b.must(b.group("web").IncreaseSize(t.Context(), 1))
}

// held are the jobs that a pool holds, with their causes.
func held(b *bench, pool string) map[cloudprovider.Job]cloudprovider.HoldCause {
	all := map[cloudprovider.Job]cloudprovider.HoldCause{}
	for _, h := range b.group(pool).(cloudprovider.JobHolder).HeldJobs() {
		if h.Message == "" {
			b.t.Errorf("pool %s holds %s without a word", pool, h.Job)
		}
		all[h.Job] = h.Cause
	}
	return all
}

func TestAJobWhoseSwitchIsOnAtTheServiceIsLeftToItAndTheOthersGoOn(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{},
		fake.PoolSpec{Name: "heals", Size: 1, Autohealing: true}, fake.PoolSpec{Name: "plain", Size: 1}, fake.PoolSpec{Name: "scales", Size: 1, Autoscaling: true})
	want := func(when, pool string, jobs map[cloudprovider.Job]cloudprovider.HoldCause) {
		t.Helper()
		if diff := cmp.Diff(jobs, held(b, pool)); diff != "" {
			t.Errorf("%s, pool %s: -want +got:\n%s", when, pool, diff)
		}
	}
	type jobs = map[cloudprovider.Job]cloudprovider.HoldCause
	b.pass(0)
	want("at first", "plain", jobs{})
	want("at first", "scales", jobs{cloudprovider.Autoscale: cloudprovider.CloudSwitchOn})
	want("at first", "heals", jobs{cloudprovider.Autoheal: cloudprovider.CloudSwitchOn})
	message := b.group("scales").(cloudprovider.JobHolder).HeldJobs()[0].Message
	if !strings.Contains(message, "scw k8s pool update ") || !strings.Contains(message, "autoscaling=false") {
		t.Errorf("the message does not say what to turn off: %s", message)
	}
	b.cloud.SetAutoUpgrade(true)
	b.pass(time.Minute)
	want("with auto-upgrade", "plain", jobs{cloudprovider.AutoUpgrade: cloudprovider.CloudSwitchOn})
	b.cloud.SetAutoUpgrade(false)
	b.cloud.Lock("plain", true)
	b.pass(time.Minute)
	want("locked", "plain", jobs{
		cloudprovider.Autoscale: cloudprovider.CloudAtWork, cloudprovider.Autoheal: cloudprovider.CloudAtWork, cloudprovider.AutoUpgrade: cloudprovider.CloudAtWork,
	})
	b.wantClass(b.group("plain").(cloudprovider.Rebooter).RebootNode(t.Context(), nodeOf(b.instances("plain")[0])), cloudprovider.ClassInvalid)
}

func TestMachinesOfOthersAreSeenAndExplainedAndNeverTouched(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{Kosmos: true},
		fake.PoolSpec{Name: "elsewhere", Size: 2, NodeType: "external"},
		fake.PoolSpec{Name: "par", Size: 1, Tags: limits("1", "3")}, fake.PoolSpec{Name: "waw", Size: 1, Zone: "pl-waw-2", Tags: limits("1", "3")})
	b.pass(0)
	group := b.group("elsewhere")
	if n := len(b.instances("elsewhere")); n != 2 {
		t.Errorf("%d instances are seen of 2", n)
	}
	if jobs := held(b, "elsewhere"); len(jobs) != 3 || jobs[cloudprovider.Autoheal] != cloudprovider.ExternalMachines {
		t.Errorf("the jobs that are held: %v", jobs)
	}
	before := len(b.cloud.Requests())
	node := []*corev1.Node{nodeOf(b.instances("elsewhere")[0])}
	for _, err := range []error{group.IncreaseSize(t.Context(), 1), group.DeleteNodes(t.Context(), node), group.DecreaseTargetSize(t.Context(), -1)} {
		b.wantClass(err, cloudprovider.ClassNotImplemented)
	}
	_, reboots := group.(cloudprovider.Rebooter)
	_, replaces := group.(cloudprovider.Replacer)
	_, upgrades := group.(cloudprovider.NativeUpgrader)
	if reboots || replaces || upgrades || len(b.cloud.Requests()) > before {
		t.Errorf("reboots %v, replaces %v, upgrades %v, requests %d", reboots, replaces, upgrades, len(b.cloud.Requests())-before)
	}
	template, err := b.group("waw").TemplateNodeInfo(t.Context())
	b.must(err)
	if zone, region := template.Node.Labels[corev1.LabelTopologyZone], template.Node.Labels[corev1.LabelTopologyRegion]; zone != "pl-waw-2" || region != "pl-waw" {
		t.Errorf("a pool in another region has zone %s in region %s", zone, region)
	}
	if b.instances("waw")[0].Zone != "pl-waw-2" {
		t.Errorf("its instance is in zone %s", b.instances("waw")[0].Zone)
	}
	group, err = b.provider.NodeGroupForNode(node[0])
	if err != nil || group == nil || group.Id() != "elsewhere" {
		t.Errorf("the node of an external machine belongs to %v, error %v", group, err)
	}
}

func TestANodeThatIsListedNoMoreBelongsToThePoolWhoseIDItCarries(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{}, fake.PoolSpec{Name: "web", Size: 2, Tags: limits("1", "3")})
	b.pass(0)
	template, err := b.group("web").TemplateNodeInfo(t.Context())
	b.must(err)
	lost := nodeOf(b.instances("web")[0])
	b.cloud.Vanish(lost.Spec.ProviderID)
	b.pass(0)
	for _, want := range []string{"web", ""} { // known until a direct look finds that it is gone
		group, err := b.provider.NodeGroupForNode(lost)
		b.must(err)
		if (group != nil) != (want == "web") {
			t.Errorf("the node of what is listed no more belongs to %v, want %q", group, want)
		}
		if there, err := b.provider.HasInstance(t.Context(), lost); there || err != nil {
			t.Errorf("it is there: %v, error %v", there, err)
		}
	}
	for label, want := range map[string]string{"": "", "main": "", template.Node.Labels["k8s.scaleway.com/pool"]: "web"} {
		lost.ObjectMeta = metav1.ObjectMeta{Name: "lost", Labels: map[string]string{"k8s.scaleway.com/pool": label}}
		group, err := b.provider.NodeGroupForNode(lost)
		b.must(err)
		if got := ""; group != nil && group.Id() != want || group == nil && got != want {
			t.Errorf("labelled %q it belongs to %v, want %q", label, group, want)
		}
	}
}

func TestAnUpgradeIsTheServicesAndItsReadyIsNotBelieved(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{Version: "1.36.3"}, fake.PoolSpec{Name: "web", Size: 1, Version: "1.35.4", Tags: limits("1", "3")})
	b.config = "upgrade: {maxSurge: 1, maxTerminationGracePeriod: 30m}\n"
	b.provider = b.connect()
	b.pass(0)
	old := b.instances("web")[0].ID
	able := b.group("web").(cloudprovider.NativeUpgrader)
	err := able.UpgradeNatively(t.Context(), "v1.36.0")
	b.wantClass(err, cloudprovider.ClassInvalid)
	if err == nil || !strings.Contains(err.Error(), "1.36.3") {
		t.Errorf("%v; want the version that it takes", err)
	}
	b.must(able.UpgradeNatively(t.Context(), "v1.36.3"))
	version, err := b.group("web").(cloudprovider.VersionTeller).TemplateVersion(t.Context())
	if err != nil || version != "v1.36.3" {
		t.Errorf("right after it new nodes come with %s, error %v", version, err)
	}
	b.wantClass(b.group("web").IncreaseSize(t.Context(), 1), cloudprovider.ClassTransient) // no pool is resized while it is upgraded
	b.must(able.UpgradeNatively(t.Context(), "v1.36.3"))                                   // asked again: done
	b.pass(0)
	if held(b, "web")[cloudprovider.Autoheal] != cloudprovider.CloudAtWork {
		t.Errorf("while the service is at work the pool holds %v", held(b, "web"))
	}
	b.pass(81 * time.Second) // the new node is ready, and the old one on its way out
	states := map[string]cloudprovider.InstanceState{}
	for _, one := range b.instances("web") {
		states[one.ID] = one.Status.State
	}
	if len(states) != 2 || states[old] != cloudprovider.InstanceDeleting || len(held(b, "web")) > 0 {
		t.Errorf("instances %v, held %v: want the pool ready and the old node still being deleted", states, held(b, "web"))
	}
	b.wantSize("web", 1)
	policies := false
	for _, r := range b.cloud.Requests() {
		policies = policies || r.Method == http.MethodPatch && r.Status == http.StatusOK && strings.Contains(r.Body, `"max_surge":1`) && strings.Contains(r.Body, "1800")
	}
	if !policies {
		t.Error("the policy of the configuration was not set")
	}
}

func TestAControlPlaneThatIsBeingUpdatedIsWaitedFor(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{}, fake.PoolSpec{Name: "web", Size: 1, Tags: limits("1", "3")})
	b.pass(0)
	b.cloud.UpgradeCluster("1.36.3")
	b.wantClass(b.group("web").IncreaseSize(t.Context(), 1), cloudprovider.ClassTransient)
	b.pass(66 * time.Second)
	b.must(b.group("web").IncreaseSize(t.Context(), 1))
	b.wantSize("web", 2)
}

func TestTheAPIIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{}, fake.PoolSpec{Name: "web", Size: 1})
	b.pass(0)
	b.cloud.Inject(fake.Fault{Status: http.StatusTooManyRequests, Type: "too_many_requests", RetryAfter: 30 * time.Second, Times: 1})
	for range 3 {
		err := b.provider.Refresh(t.Context())
		b.wantClass(err, cloudprovider.ClassTransient)
		if typed, ok := errors.AsType[*cloudprovider.Error](err); !ok || typed.RetryAfter != 30*time.Second {
			t.Errorf("%v; want to come again in 30 s", err)
		}
	}
	before := len(b.cloud.Requests())
	b.clock.SetTime(b.clock.Now().Add(31 * time.Second))
	b.must(b.provider.Refresh(t.Context()))
	statuses := map[int]int{}
	for _, r := range b.cloud.Requests() {
		statuses[r.Status]++
	}
	if statuses[http.StatusTooManyRequests] != 1 || len(b.cloud.Requests()) == before {
		t.Errorf("answers by status: %v; want to have been told once", statuses)
	}
	b.wantSize("web", 1)
}

func TestAllPagesAreRead(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{}, fake.PoolSpec{Name: "big", Size: 250}, fake.PoolSpec{Name: "small", Size: 1})
	b.pass(0)
	if n := len(b.instances("big")); n != 250 {
		t.Errorf("%d instances of 250", n)
	}
	pages := 0
	for _, r := range b.cloud.Requests() {
		if strings.HasSuffix(r.Path, "/nodes") {
			pages++
		}
	}
	if pages != 3 {
		t.Errorf("%d requests for 251 nodes, want 3 pages", pages)
	}
}

func TestAFailureWhilePagingKeepsWhatWasKnown(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{}, fake.PoolSpec{Name: "big", Size: 150})
	b.pass(0)
	b.cloud.Inject(fake.Fault{Path: "/nodes", Status: http.StatusInternalServerError})
	b.wantClass(b.provider.Refresh(t.Context()), cloudprovider.ClassTransient)
	if n := len(b.instances("big")); n != 150 {
		t.Errorf("%d instances of 150 are still known", n)
	}
}

func TestAClusterIsFoundByItsNameAndAWrongOneIsExplained(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{Cluster: "fake-but-longer"}, fake.PoolSpec{Name: "web", Size: 1})
	err := b.provider.Refresh(t.Context()) // the file says fake, of which the service's filter finds this one
	b.wantClass(err, cloudprovider.ClassNotFound)
	if err == nil || !strings.Contains(err.Error(), "fr-par") {
		t.Errorf("%v", err)
	}
}

func TestTheControlPlaneIsUpgradedWithoutItsPools(t *testing.T) {
	withoutSurroundings(t)
	b := newBench(t, fake.Options{Version: "1.35.4", Versions: []string{"1.35.4", "1.35.6", "1.36.3", "1.37.0"}}, fake.PoolSpec{Name: "web", Size: 1})
	b.pass(0)
	upgrader, ok := cloudprovider.As[cloudprovider.ControlPlaneUpgrader](b.provider)
	if !ok {
		t.Fatal("the provider can't upgrade the control plane")
	}
	offered, err := upgrader.ControlPlaneVersions(t.Context())
	var names []string
	for _, v := range offered {
		names = append(names, v.Name)
	}
	if want := []string{"v1.35.6", "v1.36.3"}; err != nil || !cmp.Equal(names, want) {
		t.Errorf("it can have %v (%v), want %v: every patch, and the next minor version", names, err, want)
	}
	if err := upgrader.UpgradeControlPlane(t.Context(), "v1.37.0"); cloudprovider.ClassOf(err) != cloudprovider.ClassInvalid {
		t.Errorf("a minor version is skipped: %v", err)
	}
	for range 2 { // the second time it is done already
		b.must(upgrader.UpgradeControlPlane(t.Context(), "v1.36.3"))
	}
	b.pass(time.Hour)
	if v, err := b.group("web").(cloudprovider.VersionTeller).TemplateVersion(t.Context()); err != nil || v != "v1.35.4" {
		t.Errorf("the pool has %s (%v), want what it had", v, err)
	}
}
