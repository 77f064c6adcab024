// Package scaleway is the provider of Scaleway's managed Kubernetes, Kapsule and Kosmos, through the vendor's SDK.
//
// How its words map to the contract's: a pool of the service is a group, under its name, which is unique in a cluster. A node of the service is an
// instance from the moment at which it has a machine, under the machine's provider ID, which is also that of the Node that it registers; before
// that it is a request that has not come. One that could not be made is listed as failed.
//
// What the service is like, and what follows from it:
//
//   - a size is an absolute number, so it is read again right before it is changed, and is never computed from an older read;
//   - a smaller size deletes the newest nodes, so nodes are only ever deleted by their IDs;
//   - min and max bind only while the service's own autoscaler is on, so ours come from the pool's tags or the configuration;
//   - the service can't switch a machine off: what fences is to delete the machine, and to look that its node is gone;
//   - a pool can only be given the version of the control plane, and then its nodes are replaced at once: that is a native upgrade, and done
//     when the kubelets say so; the pool's own status says it too early;
//   - its nodes tell no version, and their statuses come from the kubelets: it has no opinion of its own about their health;
//   - two jobs of one kind undo each other's work, so a job whose switch is on at the service is left to it.
//
// The files: config.go and credentials.go read the configuration; door.go is the way out, and errors.go sorts what comes back; refresh.go reads
// in bulk, facts.go what changes seldom; view.go is what is known; group.go answers from it; resize.go, nodes.go and upgrade.go write.
package scaleway
