// Package kwok is a cloud without machines: its instances are Node objects on an API server, brought to life by the kwok controller or by
// the simulation. It is for the demo, for tests, and for trying things out.
//
// What the fake cloud knows (per pool: target, version, instances and what became of them) is kept in ConfigMaps, one per pool, so that it
// survives the daemon as a real cloud would. The cloud's state is a function of those ConfigMaps and of the time: an instance whose
// boot delay has passed runs, also if nobody looked meanwhile. The provider has no goroutines: Refresh does what is due, such as making the
// Node of an instance that has come up. Every change is a compare-and-swap, so several writers (two daemons, a person with kubectl) are safe.
//
// Like most managed clouds this one keeps each pool at its target: an instance that vanished, or that a person took out of the ConfigMap, is made
// anew without being asked, and when a person lowers the target by hand the youngest instances go.
//
// Faults are set by hand, see [Fault]. How the kubelet of an instance is played is written down with [OffLabel].
package kwok
