// Package simulation is a whole cluster in memory on a virtual clock: an API store of its own, the kube-scheduler's rules, controllers,
// kubelets, a cloud, and the daemon among them.
//
// Everything that happens is an event of one queue, one event at a time on one goroutine. Events of the same moment come in an order that
// the seed decides, and so do all delays: the same seed gives the same log, byte for byte, and another seed another order of things that a
// real cluster leaves open. Nobody polls: an actor that has nothing to do costs nothing, and the heartbeats of healthy nodes are
// computed when somebody looks.
//
// The [Store] can be used alone, as an honest API server for tests of whoever writes through cluster/api.
package simulation
