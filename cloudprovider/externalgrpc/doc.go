// Package externalgrpc is the client of cloud providers that run as programs of their own and speak the cluster-autoscaler's gRPC protocol, whoever wrote them.
//
// What that protocol lacks, a server can add by the service in package extension, which is discovered and optional; without it the provider does without: no reboots, no
// fencing, no replacing at the min, no versions to set, and the core holds what would need them. Package server is the other side: it lends a provider of ours to
// clients of that protocol.
//
// A Refresh reads in bulk. With the extension that is one call. Without it, it is Refresh and a target size for each group; lists of instances are read again when
// something may have changed, and otherwise every 15 seconds; groups, templates and options change rarely and are read less often. See read.go.
//
// Reads are tried again while a server is unavailable; writes never are. A write without a clear answer has an unknown outcome, see [ErrUnknownOutcome].
package externalgrpc
