// Package expander asks a gRPC expander which of several pools should grow: a program outside the daemon that speaks the cluster-autoscaler's protocol for it
// (--expander=grpc, --grpc-expander-url, --grpc-expander-cert).
package expander

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/poolkeeper/poolkeeper/expander/protos"
	"github.com/poolkeeper/poolkeeper/plan"
)

// Client asks one expander. It connects when it is asked, and again when the connection was lost.
type Client struct {
	connection *grpc.ClientConn
	server     protos.ExpanderClient
}

// New makes a client of the expander at an address (host:port). With a file of CA certificates the connection is by TLS, without one it is not encrypted. The error names the
// flag that can't be used.
func New(address, certificates string) (*Client, error) {
	trust := insecure.NewCredentials()
	if certificates != "" {
		var err error
		if trust, err = credentials.NewClientTLSFromFile(certificates, ""); err != nil {
			return nil, fmt.Errorf("--grpc-expander-cert=%s: %w; give a file with the certificates (PEM) that the expander's is signed by", certificates, err)
		}
	}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(trust))
	if err != nil {
		return nil, fmt.Errorf("--grpc-expander-url=%s: %w; give host:port", address, err)
	}
	return &Client{connection: connection, server: protos.NewExpanderClient(connection)}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.connection.Close() }

// Best gives the pools of those options that the expander finds best. That it names none of the options is an error, as for the cluster-autoscaler.
func (c *Client) Best(ctx context.Context, options []plan.Option) ([]string, error) {
	question := &protos.BestOptionsRequest{NodeMap: map[string][]byte{}}
	for i := range options {
		o := &options[i]
		asked := &protos.Option{NodeGroupId: o.Pool, NodeCount: int32(min(o.Nodes, 1<<30)), Debug: o.Pool} //nolint:gosec // It is bounded.
		for _, pod := range o.Pods {
			encoded, err := pod.Marshal()
			if err != nil {
				return nil, fmt.Errorf("encode pod %s/%s for the expander: %w", pod.Namespace, pod.Name, err)
			}
			asked.Pod = append(asked.Pod, encoded)
		}
		if o.Node != nil {
			encoded, err := o.Node.Marshal()
			if err != nil {
				return nil, fmt.Errorf("encode a node of pool %s for the expander: %w", o.Pool, err)
			}
			question.NodeMap[o.Pool] = encoded
		}
		question.Options = append(question.Options, asked)
	}
	answer, err := c.server.BestOptions(ctx, question)
	if err != nil {
		return nil, fmt.Errorf("ask the expander: %w", err)
	}
	var best []string
	for _, o := range answer.GetOptions() {
		if slices.ContainsFunc(options, func(asked plan.Option) bool { return asked.Pool == o.GetNodeGroupId() }) {
			best = append(best, o.GetNodeGroupId())
		}
	}
	if len(best) == 0 {
		return nil, fmt.Errorf("the expander chose none of the %d pools that it was asked about", len(options))
	}
	return best, nil
}
