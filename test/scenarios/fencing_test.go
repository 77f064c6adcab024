package scenarios

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/simulation"
)

// stateful begins a story with a StatefulSet whose pods have a disk each, and gives the node of its first pod.
func stateful(t *testing.T, o simulation.Options) (s *story, victim string) {
	t.Helper()
	s = tellOf(t, o)
	s.start()
	s.Run(3 * time.Minute)
	s.DeployStateful(simulation.Workload{Name: "db", Replicas: 2, CPU: "3", Memory: "1Gi", Disk: true})
	s.until("db runs", 3*time.Minute, func() bool { return s.running("db") == 2 })
	return s, s.Pods("db")[0].Spec.NodeName
}

// elsewhere tells whether the pod runs on another node than that.
func (s *story) elsewhere(pod, node string) func() bool {
	return func() bool {
		for _, p := range s.Pods("db") {
			if p.Name == pod {
				return p.Spec.NodeName != "" && p.Spec.NodeName != node && p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
					return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
				})
			}
		}
		return false
	}
}

// Scenario 32: a dead kubelet with a StatefulSet and volumes: the machine is confirmed to be stopped, then the out-of-service taint, then the pod starts elsewhere, in
// minutes and not after the six-minute wait for the detachment; never two pods with one identity.
func TestADeadKubeletsStatefulPodStartsElsewhereOnceItsMachineIsOff(t *testing.T) {
	s, victim := stateful(t, simulation.Options{Cloud: kwok.Config{Pools: []kwok.Pool{pool("general", 3, 6, func(p *kwok.Pool) { p.StopDelay = 20 * time.Second })}}})
	s.Hang(victim)
	repair := 5*time.Minute + 50*time.Second
	s.Run(repair)
	began := s.Elapsed()
	s.until("db-0 runs elsewhere", 30*time.Minute, s.elsewhere("db-0", victim))
	if took := s.Elapsed() - began; took > 4*time.Minute {
		t.Errorf("db-0 ran again %s after the repair began; without a wait for the detachment it is minutes", took)
	}
	s.until("the pool is whole", 10*time.Minute, func() bool { return s.ready("general") == 3 && !s.there(victim) })
	s.Run(5 * time.Minute)
	s.size("general", 3)
	s.marks()
	s.end()
}

// The provider can't stop machines: the instance is deleted, and that it is gone is the confirmation; the Node object is kept until its volumes are free where it is not
// the cloud that deletes it.
func TestWhereTheCloudCantStopAMachineItsAbsenceIsTheConfirmation(t *testing.T) {
	s, victim := stateful(t, simulation.Options{Plain: true, Cloud: kwok.Config{Pools: []kwok.Pool{pool("general", 2, 6, func(p *kwok.Pool) {
		p.InitialSize, p.DeleteDelay = 3, 20*time.Second
	})}}})
	s.Hang(victim)
	s.until("db-0 runs elsewhere", 30*time.Minute, s.elsewhere("db-0", victim))
	s.until("the pool is whole", 10*time.Minute, func() bool { return s.ready("general") == 3 && !s.there(victim) })
	s.Run(5 * time.Minute)
	s.size("general", 3)
	s.marks()
	s.end()
}

// An instance that vanished by itself: the pod with its disk starts elsewhere at once, and the Node object goes last.
func TestTheVolumesOfAnInstanceThatVanishedAreFreedBeforeItsNodeGoes(t *testing.T) {
	s, victim := stateful(t, simulation.Options{Cloud: kwok.Config{Pools: []kwok.Pool{pool("general", 3, 6)}}})
	s.say("the instance of %s vanishes", victim)
	s.SetFaults("general", kwok.Fault("vanish="+victim))
	began := s.Elapsed()
	s.until("db-0 runs elsewhere", 30*time.Minute, s.elsewhere("db-0", victim))
	if took := s.Elapsed() - began; took > 3*time.Minute {
		t.Errorf("db-0 ran again after %s", took)
	}
	s.until("the pool is whole", 10*time.Minute, func() bool { return s.ready("general") == 3 && !s.there(victim) })
	s.Run(5 * time.Minute)
	s.size("general", 3)
	s.marks()
	s.end()
}

// A machine comes back in the middle: somebody switches it on again after it was confirmed to be off, and a pod that tolerates everything still ends there.
func TestAMachineThatComesBackInTheMiddleLosesTheTaintAndIsKept(t *testing.T) {
	s, victim := stateful(t, simulation.Options{Cloud: kwok.Config{Pools: []kwok.Pool{pool("general", 3, 6)}}})
	s.RunPods(simulation.Workload{
		Name: "holder", Replicas: 1, CPU: "100m", Memory: "1Gi", Behaviour: simulation.Behaviour{Stop: time.Minute},
		Shape: func(p *corev1.PodTemplateSpec) {
			p.Spec.NodeName = victim
			p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
			p.Spec.TerminationGracePeriodSeconds = new(int64(60))
		},
	})
	s.Hang(victim)
	s.until("it is out of service", 20*time.Minute, func() bool { return s.outOfService(victim) })
	s.say("somebody switches the machine of %s on again", victim)
	s.SwitchOn(victim)
	s.until("the taint is off", 3*time.Minute, func() bool { return s.there(victim) && !s.outOfService(victim) })
	s.Run(10 * time.Minute)
	if !s.there(victim) {
		t.Errorf("%s was deleted although it was back", victim)
	}
	s.size("general", 3)
	s.marks()
	s.end()
}

func (s *story) outOfService(name string) bool {
	for _, node := range s.nodes("general") {
		if node.Name == name {
			return cluster.TakenOutOfService(node)
		}
	}
	return false
}
