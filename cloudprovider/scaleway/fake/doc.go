// Package fake is a Scaleway in one process: the part of its HTTP API that a cluster's pools and nodes are managed by, with state behind it.
//
// It behaves as recorded traffic and the vendor's documentation say, and is strict: what the real API would refuse is refused here, with the
// same kind of body. What is known to be awkward is there on purpose: nodes have no provider ID while they are made; a smaller size deletes the
// newest nodes; a version flips at once, long before any kubelet has it; a pool is ready while an old node is still being deleted; a cluster that
// is being updated refuses changes of its pools; min and max bind only while the service's own autoscaler is on.
//
// Where neither says how the service behaves, the choice is noted at the code as an assumption.
//
// Time is the given clock's: with a virtual one everything is instant and repeatable. What is due happens when a request comes, or at [Cloud.Tick].
package fake
