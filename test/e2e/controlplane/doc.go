// Package controlplane starts a real Kubernetes control plane for tests, and for people who try the daemon out: etcd, kube-apiserver,
// kube-controller-manager and kube-scheduler as processes on loopback, and kwok in the role of the kubelets.
//
// Nothing is faked but the machines: pods are scheduled by the real scheduler, evictions are counted against budgets that the real
// disruption controller fills, and a node that falls silent is found out by the real node lifecycle controller. Start-up takes about
// five seconds, so a test package shares one control plane, started in its TestMain with [Main]; tests keep out of each other's way by
// namespaces, pools and node names of their own.
//
// Several control planes can run side by side: ports are taken free and kept. Every process ends with the test, also when the test
// panics or is killed.
package controlplane
