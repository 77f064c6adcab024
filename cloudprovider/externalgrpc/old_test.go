package externalgrpc_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// raw is a server that answers bytes which were put together by hand, so that no generated code of ours is between them and the client.
type raw map[string][]byte

// bytesAsTheyAre is a codec that neither encodes nor decodes.
type bytesAsTheyAre struct{}

func (bytesAsTheyAre) Name() string { return "proto" }

func (bytesAsTheyAre) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (bytesAsTheyAre) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

var _ encoding.CodecV2 = bytesAsTheyAre{}

func (r raw) play(t testing.TB) *scene {
	t.Helper()
	server := grpc.NewServer(grpc.ForceServerCodecV2(bytesAsTheyAre{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		full, _ := grpc.MethodFromServerStream(stream)
		service, method, _ := strings.Cut(strings.TrimPrefix(full, "/"), "/")
		var question []byte
		if err := stream.RecvMsg(&question); err != nil {
			return err
		}
		answer, known := r[method]
		if service != "clusterautoscaler.cloudprovider.v1.externalgrpc.CloudProvider" || !known {
			return status.Error(codes.Unimplemented, full)
		}
		return stream.SendMsg(&answer)
	}))
	return connect(t, nil, serve(t, server), 5*time.Second)
}

// A field each, by number and wire type.
func bytesField(number protowire.Number, content ...[]byte) []byte {
	var all []byte
	for _, c := range content {
		all = append(all, c...)
	}
	return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), all)
}

func textField(number protowire.Number, text string) []byte { return bytesField(number, []byte(text)) }

func numberField(number protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), value)
}

func doubleField(number protowire.Number, value float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(nil, number, protowire.Fixed64Type), math.Float64bits(value))
}

func join(all ...[]byte) []byte {
	var joined []byte
	for _, one := range all {
		joined = append(joined, one...)
	}
	return joined
}

// quantity is an entry of a Kubernetes ResourceList: a name, and a Quantity with its text in field 1.
func quantity(name, amount string) []byte {
	return join(textField(1, name), bytesField(2, textField(1, amount)))
}

// kubernetesNode is a Kubernetes Node by its own field numbers: metadata 1 (name 1, labels 11), status 3 (capacity 1, allocatable 2, nodeInfo 7 with the kubelet's version 7).
func kubernetesNode() []byte {
	return join(
		bytesField(1, textField(1, "template"), bytesField(11, textField(1, "pool"), textField(2, "front"))),
		bytesField(3, bytesField(1, quantity("cpu", "4")), bytesField(1, quantity("memory", "16Gi")), bytesField(2, quantity("cpu", "3800m")),
			bytesField(7, textField(7, "v1.31.2"))),
	)
}

// oneGroup are the answers of a server with the group front: min 1, max 5, target 2, one instance that runs and one that can't be made.
func oneGroup() raw {
	return raw{
		"Refresh":             nil,
		"NodeGroups":          bytesField(1, textField(1, "front"), numberField(2, 1), numberField(3, 5), textField(4, "the front pool")),
		"NodeGroupTargetSize": numberField(1, 2),
		"NodeGroupNodes": join(
			bytesField(1, textField(1, "cloud://1"), bytesField(2, numberField(1, 1))),
			bytesField(1, textField(1, "cloud://2"), bytesField(2, numberField(1, 2), bytesField(2, textField(1, "QUOTA_EXCEEDED"), textField(2, "no more cores"), numberField(3, 1)))),
		),
		"GPULabel": textField(1, "gpu"),
	}
}

func TestTheFieldNumbersAreTheClusterAutoscalers(t *testing.T) {
	r := oneGroup()
	r["NodeGroupTemplateNodeInfo"] = bytesField(2, kubernetesNode())
	r["NodeGroupGetOptions"] = bytesField(1, doubleField(1, 0.6), doubleField(2, 0.4), numberField(6, 1), numberField(7, 1),
		bytesField(8, numberField(1, 120)), bytesField(9, numberField(1, 180)), bytesField(10, numberField(1, 240)),
		bytesField(11, numberField(1, 300)), numberField(12, 1))
	r["PricingNodePrice"] = doubleField(1, 0.5)
	s := r.play(t)
	s.refresh(0)
	front := s.pool("front")
	if front.MinSize() != 1 || front.MaxSize() != 5 || front.Debug() != "the front pool" || s.size("front") != 2 || s.Provider.GPULabel() != "gpu" {
		t.Errorf("the group is %d to %d, %q, of size %d; the GPU label is %q", front.MinSize(), front.MaxSize(), front.Debug(), s.size("front"), s.Provider.GPULabel())
	}
	list := s.instances("front")
	if len(list) != 2 || list[0].ID != "cloud://1" || list[0].Status.State != cloudprovider.InstanceRunning || list[0].Status.ErrorInfo != nil {
		t.Fatalf("the instances are %+v", list)
	}
	failed := list[1].Status
	if failed.State != cloudprovider.InstanceCreating || failed.ErrorInfo == nil || failed.ErrorInfo.ErrorClass != cloudprovider.ClassQuota ||
		failed.ErrorInfo.ErrorCode != "QUOTA_EXCEEDED" || failed.ErrorInfo.ErrorMessage != "no more cores" {
		t.Errorf("the one that can't be made is %+v with %+v", failed, failed.ErrorInfo)
	}
	checkTemplate(t, s)
	options, err := front.GetOptions(t.Context(), cloudprovider.Options{})
	must(t, err)
	if *options.ScaleDownUtilizationThreshold != 0.6 || *options.ScaleDownGpuUtilizationThreshold != 0.4 || !*options.ZeroOrMaxNodeScaling ||
		!*options.IgnoreDaemonSetsUtilization || !*options.AllowNonAtomicScaleUpToMax || *options.ScaleDownUnneededTime != 2*time.Minute ||
		*options.ScaleDownUnreadyTime != 3*time.Minute || *options.MaxNodeProvisionTime != 4*time.Minute || *options.MaxNodeStartupTime != 5*time.Minute {
		t.Errorf("the options are %+v", options)
	}
}

func checkTemplate(t *testing.T, s *scene) {
	t.Helper()
	template, err := s.pool("front").TemplateNodeInfo(t.Context())
	must(t, err)
	node := template.Node
	if node.Labels["pool"] != "front" || node.Name != "" || node.Status.NodeInfo.KubeletVersion != "v1.31.2" ||
		node.Status.Allocatable.Cpu().String() != "3800m" || node.Status.Allocatable.Memory().String() != "16Gi" || node.Status.Allocatable.Pods().Value() != 110 {
		t.Errorf("the template is %+v with %+v", node.ObjectMeta, node.Status)
	}
}

func TestServersBuiltBefore2025AreUnderstood(t *testing.T) {
	r := oneGroup()
	r["NodeGroupTemplateNodeInfo"] = bytesField(1, kubernetesNode()) // the Node as a message
	r["NodeGroupGetOptions"] = bytesField(1, doubleField(1, 0.5), doubleField(2, 0.5),
		bytesField(3, numberField(1, uint64(7*time.Minute))), bytesField(4, numberField(1, uint64(20*time.Minute))), bytesField(5, numberField(1, uint64(30*time.Minute))))
	s := r.play(t)
	s.refresh(0)
	checkTemplate(t, s)
	options, err := s.pool("front").GetOptions(t.Context(), cloudprovider.Options{})
	must(t, err)
	if options == nil || options.ScaleDownUnneededTime == nil || *options.ScaleDownUnneededTime != 7*time.Minute ||
		options.MaxNodeProvisionTime == nil || *options.MaxNodeProvisionTime != 30*time.Minute {
		t.Fatalf("the options are %+v", options)
	}
	if options.ScaleDownUnreadyTime != nil || options.ScaleDownUtilizationThreshold != nil || options.MaxNodeStartupTime != nil {
		t.Errorf("options that equal the defaults, or that old servers don't know, are taken for the group's own: %+v", options)
	}
}

func TestOptionsOfZeroAreNoOptions(t *testing.T) {
	r := oneGroup()
	r["NodeGroupGetOptions"] = bytesField(1, doubleField(1, 0.5), doubleField(2, 0.5), bytesField(10)) // a provision time of zero would make each node late at once
	s := r.play(t)
	s.refresh(0)
	if options, err := s.pool("front").GetOptions(t.Context(), cloudprovider.Options{}); err != nil || options != nil {
		t.Errorf("the options are %+v, %v; want none", options, err)
	}
}

func TestGarbageIsAnErrorAndNoMore(t *testing.T) {
	garbage := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0x0a, 0x80}
	for method := range oneGroup() {
		t.Run(method, func(t *testing.T) {
			r := oneGroup()
			good := r.play(t)
			good.refresh(0)
			r[method] = garbage
			s := r.play(t)
			err := s.Provider.Refresh(t.Context())
			if method != "GPULabel" && err == nil {
				t.Error("Refresh gave no error")
			}
		})
	}
	for name, template := range map[string][]byte{
		"garbage": garbage, "no room": bytesField(1, textField(1, "template")),
		"a quantity that is none": bytesField(3, bytesField(1, quantity("cpu", "many"))),
		"less than nothing":       bytesField(3, bytesField(1, quantity("cpu", "-4")), bytesField(1, quantity("memory", "1Gi"))),
		"more than all":           bytesField(3, bytesField(1, quantity("cpu", "4")), bytesField(1, quantity("memory", "1Gi")), bytesField(2, quantity("cpu", "5"))),
		"no memory":               bytesField(3, bytesField(1, quantity("cpu", "4"))),
	} {
		t.Run("a template with "+name, func(t *testing.T) {
			r := oneGroup()
			r["NodeGroupTemplateNodeInfo"] = bytesField(2, template)
			s := r.play(t)
			s.refresh(0)
			if _, err := s.pool("front").TemplateNodeInfo(t.Context()); !errors.Is(err, cloudprovider.ErrInvalid) {
				t.Errorf("the template gave %v", err)
			}
		})
	}
}
