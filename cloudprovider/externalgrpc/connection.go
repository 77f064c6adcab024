package externalgrpc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/extension"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
)

// connection is the way to a server.
type connection struct {
	*grpc.ClientConn
	usual   protos.CloudProviderClient
	more    extension.ExtensionClient
	timeout time.Duration
}

// largestAnswer bounds one answer: the instances of the largest clusters, a hundred bytes each, fit in many times over.
const largestAnswer = 64 << 20

// connect prepares the connection, and asks nothing yet.
func connect(config Config, userAgent string) (*connection, error) {
	transport, err := config.Files.clientCredentials(config.serverName())
	if err != nil {
		return nil, err
	}
	conn, err := grpc.NewClient(config.Address,
		grpc.WithTransportCredentials(transport),
		grpc.WithUserAgent(userAgent),
		grpc.WithDisableServiceConfig(), // what is tried again is said here, and not in somebody's DNS
		grpc.WithDefaultServiceConfig(retries()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestAnswer)),
		// A peer that is gone without a word is noticed while a call waits for it. Without calls nothing is sent: most servers take that for an attack.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute, Timeout: 20 * time.Second}),
	)
	if err != nil {
		return nil, fmt.Errorf("address: %w", err)
	}
	return &connection{
		ClientConn: conn, usual: protos.NewCloudProviderClient(conn), more: extension.NewExtensionClient(conn), timeout: config.Timeout,
	}, nil
}

// reads are the calls that change nothing, by service. Only these are tried again.
var reads = map[string][]string{
	protos.CloudProvider_ServiceDesc.ServiceName: {
		"NodeGroups", "NodeGroupForNode", "PricingNodePrice", "PricingPodPrice", "GPULabel", "GetAvailableGPUTypes", "Refresh",
		"NodeGroupTargetSize", "NodeGroupNodes", "NodeGroupTemplateNodeInfo", "NodeGroupGetOptions",
	},
	extension.Extension_ServiceDesc.ServiceName: {"Discover", "ReadGroups", "HasInstance", "TemplateVersion", "AvailableVersions"},
}

// retries is the gRPC service configuration by which reads are tried up to three times, within their deadline, while the server is unavailable.
func retries() string {
	var names []string
	for service, methods := range reads {
		for _, method := range methods {
			names = append(names, fmt.Sprintf(`{"service":%q,"method":%q}`, service, method))
		}
	}
	return fmt.Sprintf(`{"methodConfig":[{"name":[%s],"retryPolicy":{"maxAttempts":3,"initialBackoff":"0.1s","maxBackoff":"1s",`+
		`"backoffMultiplier":3,"retryableStatusCodes":["UNAVAILABLE"]}}]}`, strings.Join(names, ","))
}

// method is a call of a generated client.
type method[Q, A any] func(ctx context.Context, question Q, options ...grpc.CallOption) (A, error)

// ask makes a call that reads, within the time that a call has.
func ask[Q, A any](ctx context.Context, c *connection, doing string, call method[Q, A], question Q) (answer A, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	answer, err = call(ctx, question)
	return answer, readError(doing, err)
}

// order makes a call that writes, within the time that a call has. It isn't made when the context has ended already.
func order[Q, A any](ctx context.Context, c *connection, doing string, call method[Q, A], question Q) error {
	if err := ctx.Err(); err != nil {
		return &cloudprovider.Error{Class: cloudprovider.ClassTransient, Doing: doing, Err: fmt.Errorf("nothing was sent: %w", err)}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	_, err := call(ctx, question)
	return writeError(doing, err, c.settle())
}

// settle is how long a write whose outcome is unknown is given to become visible, before the same group is changed again: a server that was too slow to answer may
// still be at it.
func (c *connection) settle() time.Duration { return max(10*time.Second, 2*c.timeout) }

// Writes tells whether a call changes something, by its full name as in /package.Service/Method. One that isn't known does.
func Writes(fullMethod string) bool {
	service, name, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	return name != "Cleanup" && !slices.Contains(reads[service], name)
}
