// Package extension is what Poolkeeper can make use of beyond the cluster-autoscaler's protocol, on the wire; see extension.proto.
package extension

//go:generate ../../../tools/protobuf/generate cloudprovider/externalgrpc/extension
