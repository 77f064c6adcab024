// Package protos is the protocol of the cluster-autoscaler's gRPC expander.
package protos

//go:generate ../../tools/protobuf/generate expander/protos
