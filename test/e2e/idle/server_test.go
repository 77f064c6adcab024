package idle

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"google.golang.org/grpc"

	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
)

// server is an external provider as others write them: pools in which nothing ever happens, and no more than the cluster-autoscaler's protocol.
type server struct {
	protos.UnimplementedCloudProviderServer
	mutex sync.Mutex
	calls map[string]int
}

func newServer() *server { return &server{calls: map[string]int{}} }

func (s *server) intercept(ctx context.Context, q any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	s.mutex.Lock()
	s.calls[info.FullMethod[strings.LastIndexByte(info.FullMethod, '/')+1:]]++
	s.mutex.Unlock()
	return handle(ctx, q)
}

// count is how many calls there were, all together and by method.
func (s *server) count(anew bool) (all int, by map[string]int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	by = map[string]int{}
	for method, n := range s.calls {
		by[method] = n
		all += n
	}
	if anew {
		s.calls = map[string]int{}
	}
	return all, by
}

func (s *server) NodeGroups(context.Context, *protos.NodeGroupsRequest) (*protos.NodeGroupsResponse, error) {
	answer := &protos.NodeGroupsResponse{}
	for pool := range pools {
		answer.NodeGroups = append(answer.NodeGroups, &protos.NodeGroup{Id: fmt.Sprintf("pool-%d", pool), MinSize: nodesPerPool, MaxSize: 2 * nodesPerPool})
	}
	return answer, nil
}

func (s *server) NodeGroupForNode(context.Context, *protos.NodeGroupForNodeRequest) (*protos.NodeGroupForNodeResponse, error) {
	return &protos.NodeGroupForNodeResponse{NodeGroup: &protos.NodeGroup{}}, nil
}

func (s *server) GPULabel(context.Context, *protos.GPULabelRequest) (*protos.GPULabelResponse, error) {
	return &protos.GPULabelResponse{}, nil
}

func (s *server) Refresh(context.Context, *protos.RefreshRequest) (*protos.RefreshResponse, error) {
	return &protos.RefreshResponse{}, nil
}

func (s *server) Cleanup(context.Context, *protos.CleanupRequest) (*protos.CleanupResponse, error) {
	return &protos.CleanupResponse{}, nil
}

func (s *server) NodeGroupTargetSize(context.Context, *protos.NodeGroupTargetSizeRequest) (*protos.NodeGroupTargetSizeResponse, error) {
	return &protos.NodeGroupTargetSizeResponse{TargetSize: nodesPerPool}, nil
}

func (s *server) NodeGroupNodes(_ context.Context, q *protos.NodeGroupNodesRequest) (*protos.NodeGroupNodesResponse, error) {
	pool, err := number(q.GetId())
	if err != nil {
		return nil, err
	}
	answer := &protos.NodeGroupNodesResponse{}
	for n := range nodesPerPool {
		answer.Instances = append(answer.Instances, &protos.Instance{
			Id: id(pool, n), Status: &protos.InstanceStatus{InstanceState: protos.InstanceStatus_instanceRunning},
		})
	}
	return answer, nil
}

func (s *server) NodeGroupTemplateNodeInfo(_ context.Context, q *protos.NodeGroupTemplateNodeInfoRequest) (*protos.NodeGroupTemplateNodeInfoResponse, error) {
	pool, err := number(q.GetId())
	if err != nil {
		return nil, err
	}
	encoded, err := machine(pool, "template", "").Marshal()
	return &protos.NodeGroupTemplateNodeInfoResponse{NodeBytes: encoded}, err
}

func number(group string) (pool int, err error) {
	_, err = fmt.Sscanf(group, "pool-%d", &pool)
	return pool, err
}
