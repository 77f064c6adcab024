package kwok_test

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
)

func TestFaultsThatRefuseAnIncreaseHaveTheirClassAndPass(t *testing.T) {
	for fault, want := range map[kwok.Fault]*cloudprovider.Error{
		"outOfStock":         cloudprovider.ErrOutOfResources,
		"quota":              cloudprovider.ErrQuota,
		"error=Transient":    cloudprovider.ErrTransient,
		"error=Unauthorized": cloudprovider.ErrUnauthorized,
		"error":              {Class: cloudprovider.ClassOther},
	} {
		t.Run(string(fault), func(t *testing.T) {
			b := newBench(t, front())
			b.fault("front", fault)
			if err := b.group("front").IncreaseSize(t.Context(), 1); !errors.Is(err, want) {
				t.Errorf("error %v, want one of class %s", err, want.Class)
			}
			b.after(time.Minute)
			b.wantTarget("front", 2)
			b.fault("front")
			b.must(b.group("front").IncreaseSize(t.Context(), 1))
			b.after(time.Minute)
			b.wantNodes("front-1", "front-2", "front-3")
		})
	}
}

func TestFaultsThatComeLateAreOnTheInstances(t *testing.T) {
	for fault, want := range map[kwok.Fault]cloudprovider.Class{
		"outOfStock=late": cloudprovider.ClassOutOfResources,
		"quota=late":      cloudprovider.ClassQuota,
	} {
		t.Run(string(fault), func(t *testing.T) {
			b := newBench(t, front())
			b.after(time.Minute)
			b.fault("front", fault)
			b.must(b.group("front").IncreaseSize(t.Context(), 1))
			b.after(time.Hour)
			b.wantTarget("front", 3)
			b.wantNodes("front-1", "front-2")
			list, err := b.group("front").Nodes(t.Context())
			b.must(err)
			status := list[2].Status
			if status.State != creating || status.ErrorInfo == nil || status.ErrorInfo.ErrorClass != want {
				t.Fatalf("front-3 has the status %s, %v; want Creating and an error of class %s", status.State, status.ErrorInfo, want)
			}
			b.must(b.group("front").DeleteNodes(t.Context(), []*corev1.Node{standIn("front", "front-3")}))
			b.after(time.Minute)
			b.wantInstances("front", states{"front-1": running, "front-2": running})
		})
	}
}

func TestWhileTheCloudIsOutOfStockWhatIsReplacedStaysMissingUntilItIsBack(t *testing.T) {
	b := newBench(t, front())
	b.after(time.Minute)
	b.fault("front", "outOfStock")
	b.must(b.group("front").(cloudprovider.Replacer).ReplaceNodes(t.Context(), []*corev1.Node{standIn("front", "front-1")}))
	b.after(time.Hour)
	b.wantTarget("front", 2)
	b.wantInstances("front", states{"front-2": running})
	b.fault("front")
	b.refresh()
	b.after(time.Minute)
	b.wantInstances("front", states{"front-2": running, "front-3": running})
}

func TestASlowCloudBootsThatMuchLater(t *testing.T) {
	pool := front()
	pool.Faults = []kwok.Fault{"slow=2m"} // in the configuration
	b := newBench(t, pool)
	b.after(2*time.Minute + 29*time.Second)
	b.wantInstances("front", states{"front-1": creating, "front-2": creating})
	b.after(time.Second)
	b.wantInstances("front", states{"front-1": running, "front-2": running})
}

func TestAnInstanceMadeWhileTheyNeverRegisterNeverDoes(t *testing.T) {
	b := newBench(t, front())
	b.fault("front", "neverRegister", "neverRegister=front-1")
	b.must(b.group("front").IncreaseSize(t.Context(), 1))
	b.after(time.Hour)
	b.wantInstances("front", states{"front-1": running, "front-2": running, "front-3": running})
	b.wantNodes("front-2")
	b.fault("front")
	b.refresh()
	b.wantNodes("front-1", "front-2") // front-1 was named, and that has passed; front-3 was made so
	b.must(b.group("front").(cloudprovider.Replacer).ReplaceNodes(t.Context(), []*corev1.Node{standIn("front", "front-3")}))
	b.after(time.Minute)
	b.wantNodes("front-1", "front-2", "front-4")
}

func TestAVanishedInstanceLeavesASilentNodeBehindAndTheCloudMakesAnotherOne(t *testing.T) {
	b := newBench(t, front())
	b.after(time.Minute)
	b.fault("front", "vanish=front-1")
	b.refresh()
	b.wantInstances("front", states{"front-2": running, "front-3": creating})
	if got := b.node("front-1").Labels[kwok.OffLabel]; got != kwok.OffVanished {
		t.Errorf("the label of the node that was left behind is %q", got)
	}
	has, err := b.provider.HasInstance(t.Context(), b.node("front-1"))
	if err != nil || has {
		t.Errorf("HasInstance gave %v and %v", has, err)
	}
	b.after(time.Hour)
	b.wantNodes("front-1", "front-2", "front-3") // cleaning up is not the cloud's business
	b.wantTarget("front", 2)
	b.must(b.group("front").DeleteNodes(t.Context(), []*corev1.Node{b.node("front-1")}))
	b.wantTarget("front", 2)
}

func TestASwitchedOffMachineIsMarkedUntilItIsOn(t *testing.T) {
	b := newBench(t, front())
	b.after(time.Minute)
	off := func(node string) string { return b.node(node).Labels[kwok.OffLabel] }
	b.fault("front", "stop=front-1")
	b.must(b.group("front").(cloudprovider.Stopper).StopNode(t.Context(), b.node("front-2")))
	b.after(time.Second)
	b.wantInstances("front", states{"front-1": stopped, "front-2": stopped})
	if off("front-1") != kwok.OffStopped || off("front-2") != kwok.OffStopped {
		t.Errorf("marks of the stopped machines' nodes: %q, %q", off("front-1"), off("front-2"))
	}
	b.fault("front")
	b.must(b.group("front").(cloudprovider.Rebooter).RebootNode(t.Context(), b.node("front-2")))
	b.after(time.Second)
	b.wantInstances("front", states{"front-1": running, "front-2": running})
	if off("front-1") != "" || off("front-2") != "" {
		t.Errorf("marks of the machines' nodes that are on again: %q, %q", off("front-1"), off("front-2"))
	}
}

func TestAMarkThatAPersonSetStaysUntilAReboot(t *testing.T) {
	b := newBench(t, front())
	b.after(time.Minute)
	node := b.node("front-1")
	node.Labels[kwok.OffLabel] = "pulled-the-plug"
	_, err := b.memory.UpdateNode(t.Context(), node)
	b.must(err)
	b.after(time.Hour)
	if b.node("front-1").Labels[kwok.OffLabel] != "pulled-the-plug" {
		t.Error("the mark was taken off without a reboot")
	}
}

func TestARebootMakesASickNodeWellUnlessItDoesNotHelp(t *testing.T) {
	for name, c := range map[string]struct {
		faults []kwok.Fault
		well   bool
	}{
		"it helps":                         {nil, true},
		"it helps, others it does not":     {[]kwok.Fault{"rebootDoesNotHelp=front-2"}, true},
		"it does not help this one":        {[]kwok.Fault{"rebootDoesNotHelp=front-1"}, false},
		"it does not help anybody of them": {[]kwok.Fault{"rebootDoesNotHelp"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			pool := front()
			pool.RebootDelay = 20 * time.Second
			b := newBench(t, pool)
			b.after(time.Minute)
			node := b.node("front-1")
			node.Labels[kwok.OffLabel] = "true"
			node.Annotations[kwok.SickAnnotation] = "PLEG is not healthy"
			_, err := b.memory.UpdateNode(t.Context(), node)
			b.must(err)
			b.fault("front", c.faults...)
			b.must(b.group("front").(cloudprovider.Rebooter).RebootNode(t.Context(), node))
			b.after(19 * time.Second)
			if b.node("front-1").Annotations[kwok.RebootedAnnotation] != "" {
				t.Error("the reboot was over before its delay")
			}
			b.after(time.Second)
			node = b.node("front-1")
			if got, want := node.Annotations[kwok.RebootedAnnotation], "2026-08-03T10:01:20Z"; got != want {
				t.Errorf("rebooted at %q, want %q", got, want)
			}
			_, off := node.Labels[kwok.OffLabel]
			_, sick := node.Annotations[kwok.SickAnnotation]
			if off == c.well || sick == c.well {
				t.Errorf("after the reboot off is %v and sick is %v", off, sick)
			}
			if b.instances("front")["front-1"] != running {
				t.Errorf("after the reboot the instance is %s", b.instances("front")["front-1"])
			}
		})
	}
}

func TestAMachineFallsSickAgainAfterARebootThatHelped(t *testing.T) {
	b := newBench(t, front())
	b.after(time.Minute)
	b.must(b.group("front").(cloudprovider.Rebooter).RebootNode(t.Context(), b.node("front-1")))
	b.after(time.Second)
	node := b.node("front-1")
	node.Annotations[kwok.SickAnnotation] = "again"
	_, err := b.memory.UpdateNode(t.Context(), node)
	b.must(err)
	b.after(time.Minute)
	if b.node("front-1").Annotations[kwok.SickAnnotation] != "again" {
		t.Error("one reboot made the machine well twice")
	}
}

func TestTheCloudsOpinionOfAnInstanceCanBeBad(t *testing.T) {
	b := newBench(t, front())
	b.after(time.Minute)
	b.fault("front", "bad=front-2")
	b.refresh()
	list, err := b.group("front").Nodes(t.Context())
	b.must(err)
	if list[0].Healthy != cloudprovider.HealthGood || list[1].Healthy != cloudprovider.HealthBad {
		t.Errorf("healthy: %s, %s", list[0].Healthy, list[1].Healthy)
	}
}

func TestWhileTheWholeCloudIsBrokenNothingIsKnownAndNothingHappens(t *testing.T) {
	b := newBench(t, front())
	b.after(time.Minute)
	node := b.node("front-1")
	b.fault("", "error=Transient")
	_, hasErr := b.provider.HasInstance(t.Context(), node)
	_, makeErr := b.provider.CreateNodeGroup(t.Context(), b.group("front"), "extra")
	for name, err := range map[string]error{
		"Refresh":         b.provider.Refresh(t.Context()),
		"HasInstance":     hasErr,
		"CreateNodeGroup": makeErr,
		"IncreaseSize":    b.group("front").IncreaseSize(t.Context(), 1),
		"DeleteNodes":     b.group("front").DeleteNodes(t.Context(), []*corev1.Node{node}),
	} {
		if !errors.Is(err, cloudprovider.ErrTransient) {
			t.Errorf("%s gave %v", name, err)
		}
	}
	b.wantInstances("front", states{"front-1": running, "front-2": running}) // the former state stays
	b.fault("")
	b.after(time.Minute)
	b.wantTarget("front", 2)
	b.wantNodes("front-1", "front-2")
}

func TestAPoolWhoseConfigMapMakesNoSenseSaysSoAndTheOthersGoOn(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*corev1.ConfigMap)
		want  []string
	}{
		"an unknown fault": {
			func(cm *corev1.ConfigMap) { cm.Annotations = map[string]string{kwok.FaultAnnotation: "outOfStok"} },
			[]string{"ConfigMap poolkeeper/poolkeeper-kwok-front", "annotation poolkeeper.io/fault", `"outOfStok" is not known; the known ones are outOfStock`},
		},
		"a fault without its argument": {
			func(cm *corev1.ConfigMap) { cm.Annotations = map[string]string{kwok.FaultAnnotation: "slow=soon"} },
			[]string{`"soon" is not a duration; write it like slow=2m`},
		},
		"an unknown field": {
			func(cm *corev1.ConfigMap) { cm.Data["pool"] += "tarrget: 3\n" },
			[]string{`key "pool"`, "tarrget", "mend it, or delete the ConfigMap to begin anew"},
		},
		"a target out of bounds": {
			func(cm *corev1.ConfigMap) { cm.Data["pool"] = "target: -1\nversion: v1.36.3\n" },
			[]string{`key "pool": target: -1 is not between 0 and`},
		},
		"a bad version": {
			func(cm *corev1.ConfigMap) { cm.Data["pool"] = "target: 1\nversion: newest\n" },
			[]string{`key "pool": version: "newest" is not a version; write it like v1.36.3`},
		},
		"a broken line": {
			func(cm *corev1.ConfigMap) { cm.Data["instances"] += "{\n" },
			[]string{`key "instances", line 3`},
		},
		"the same instance twice": {
			func(cm *corev1.ConfigMap) { cm.Data["instances"] += cm.Data["instances"] },
			[]string{`key "instances", line 3: instance number 1 does not come after 2`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			back := front()
			back.Name = "back"
			b := newBench(t, front(), back)
			b.after(time.Minute)
			good, err := b.memory.GetConfigMap(t.Context(), namespace, kwok.ConfigMapName("front"))
			b.must(err)
			bad := good.DeepCopy()
			c.spoil(bad)
			bad, err = b.memory.UpdateConfigMap(t.Context(), bad)
			b.must(err)
			b.refresh()
			_, err = b.group("front").Nodes(t.Context())
			b.wantError(err, c.want...)
			b.wantError(b.group("front").IncreaseSize(t.Context(), 1), append(c.want, "increase pool front by 1")...)
			b.must(b.group("back").IncreaseSize(t.Context(), 1))
			bad.Data, bad.Annotations = good.Data, good.Annotations
			_, err = b.memory.UpdateConfigMap(t.Context(), bad)
			b.must(err)
			b.after(time.Minute)
			b.wantTarget("front", 2)
			b.wantTarget("back", 3)
		})
	}
}

func TestSetFaultsRefusesWhatItDoesNotKnow(t *testing.T) {
	b := newBench(t, front())
	for fault, want := range map[kwok.Fault]string{
		"outOfStok":        "is not known",
		"outOfStock=early": `"early" is not known here; write outOfStock or outOfStock=late`,
		"vanish":           "needs the name of an instance",
		"pending=front-1":  `takes no argument; leave out "=front-1"`,
		"slow":             "is not a duration",
		"slow=-1s":         "is not a duration",
		"error=Sad":        `"Sad" is not a class of errors`,
	} {
		b.wantError(kwok.SetFaults(t.Context(), b.memory, namespace, "front", fault), want)
	}
}
