// Package protos is the cluster-autoscaler's protocol for external providers on the wire; see externalgrpc.proto.
package protos

//go:generate ../../../tools/protobuf/generate cloudprovider/externalgrpc/protos
