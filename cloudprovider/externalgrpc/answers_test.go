package externalgrpc

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/extension"
	"github.com/poolkeeper/poolkeeper/cloudprovider/externalgrpc/protos"
)

var moment = time.Date(2026, 8, 3, 9, 0, 0, 0, time.UTC)

// FuzzAnswers: whatever bytes a server answers, what is believed of them makes sense, and nothing panics.
func FuzzAnswers(f *testing.F) {
	node, err := (&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node", Labels: map[string]string{"a": "b"}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "poolkeeper.io/disruption"}}},
		Status:     corev1.NodeStatus{Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("1Gi")}},
	}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	share := 0.5
	for _, seed := range []proto.Message{
		&protos.NodeGroupsResponse{NodeGroups: []*protos.NodeGroup{{Id: "a", MinSize: 1, MaxSize: 3}, {Id: "b", MinSize: -1, Debug: "x\ny"}}},
		&protos.NodeGroupNodesResponse{Instances: []*protos.Instance{{Id: "x", Status: &protos.InstanceStatus{
			InstanceState: 7, ErrorInfo: &protos.InstanceErrorInfo{ErrorCode: "quota", InstanceErrorClass: -4},
		}}}},
		&protos.NodeGroupTemplateNodeInfoResponse{NodeBytes: node, NodeInfo: node},
		&protos.NodeGroupAutoscalingOptionsResponse{NodeGroupAutoscalingOptions: &protos.NodeGroupAutoscalingOptions{
			ScaleDownUtilizationThreshold: math.NaN(), ScaleDownUnneededTime: &protos.OldDuration{Duration: -1},
		}},
		&extension.ReadGroupsResponse{Groups: []*extension.Group{{
			Id: "a", MaxSize: 5, TargetSize: 1, TemplateNode: node, TemplatePods: [][]byte{{1}}, Price: math.Inf(1),
			Instances: []*extension.Instance{{Id: "x", State: 9, Health: 7, Error: &extension.InstanceError{Class: "?"}}},
			Options:   &extension.Options{ScaleDownUtilizationThreshold: &share}, HeldJobs: []*extension.HeldJob{{Job: "?", Cause: "?"}},
		}}},
		&extension.DiscoverResponse{Capabilities: []extension.Capability{1, 99}, Lacking: map[string]*extension.Capabilities{"a": nil}},
	} {
		encoded, err := proto.Marshal(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		fuzzUsual(t, content)
		fuzzExtension(t, content)
	})
}

func fuzzUsual(t *testing.T, content []byte) {
	t.Helper()
	var groups protos.NodeGroupsResponse
	if proto.Unmarshal(content, &groups) == nil {
		list, _ := readLimits(groups.GetNodeGroups())
		for _, l := range list {
			checkSaneLimits(t, l)
		}
	}
	var nodes protos.NodeGroupNodesResponse
	if proto.Unmarshal(content, &nodes) == nil {
		list, err := readInstances(nodes.GetInstances())
		checkSaneInstances(t, list, err)
	}
	var info protos.NodeGroupTemplateNodeInfoResponse
	if proto.Unmarshal(content, &info) == nil {
		template, err := readTemplate(info.GetNodeBytes(), info.GetNodeInfo(), nil)
		checkSaneTemplate(t, template, err)
	}
	template, err := readTemplate(content, nil, [][]byte{content})
	checkSaneTemplate(t, template, err)
	var options protos.NodeGroupAutoscalingOptionsResponse
	if proto.Unmarshal(content, &options) == nil {
		checkSaneOptions(t, readOptions(wireOptions(cloudprovider.Options{}), options.GetNodeGroupAutoscalingOptions()))
	}
}

func fuzzExtension(t *testing.T, content []byte) {
	t.Helper()
	var all extension.ReadGroupsResponse
	if proto.Unmarshal(content, &all) == nil {
		for _, one := range all.GetGroups() {
			v := readWhole(one, nil, moment)
			if v.problem != nil || checkID(v.id) != nil {
				continue
			}
			checkSaneLimits(t, v.limits)
			checkSaneInstances(t, v.instances, nil)
			checkSaneTemplate(t, v.slow.template, v.slow.templateErr)
			checkSaneOptions(t, v.slow.options)
			for _, held := range v.held {
				if held.Job == "" || held.Cause == "" {
					t.Errorf("held is %+v", held)
				}
			}
		}
	}
	var offers extension.DiscoverResponse
	if proto.Unmarshal(content, &offers) == nil {
		readAbility(&offers)
	}
	var versions extension.AvailableVersionsResponse
	if proto.Unmarshal(content, &versions) == nil {
		readVersions(versions.GetVersions())
	}
}

func checkSaneLimits(t *testing.T, l limits) {
	t.Helper()
	if l.id == "" || l.debug == "" || strings.ContainsAny(l.debug, "\n\r\x1b") || len(l.debug) > 2*longestText {
		t.Errorf("the limits are %+v", l)
	}
	if l.incompatible == nil && (l.least < 0 || l.least > l.most) {
		t.Errorf("the limits are %+v and that is no problem", l)
	}
}

func checkSaneInstances(t *testing.T, list []cloudprovider.Instance, err error) {
	t.Helper()
	if err != nil {
		return
	}
	seen := map[string]bool{}
	for _, one := range list {
		if one.ID == "" || seen[one.ID] || one.Status.State == "" || one.Status.ErrorInfo != nil && one.Status.ErrorInfo.ErrorClass == "" {
			t.Errorf("an instance is %+v", one)
		}
		seen[one.ID] = true
	}
}

func checkSaneTemplate(t *testing.T, template *cloudprovider.Template, err error) {
	t.Helper()
	if (template == nil) == (err == nil) {
		t.Fatalf("the template is %v and the error %v", template, err)
	}
	if err != nil {
		return
	}
	node := template.Node
	if node.Name != "" || node.UID != "" || node.Spec.ProviderID != "" || template.Price < 0 || math.IsNaN(template.Price) || math.IsInf(template.Price, 0) {
		t.Errorf("the template is %+v", template)
	}
	for name, room := range node.Status.Allocatable {
		capacity := node.Status.Capacity[name]
		if room.Sign() < 0 || room.Cmp(capacity) > 0 {
			t.Errorf("the template has %s of %s allocatable and a capacity of %s", room.String(), name, capacity.String())
		}
	}
	for _, taint := range node.Spec.Taints {
		if strings.HasPrefix(taint.Key, ownPrefix) {
			t.Errorf("the template has our own taint %s", taint.Key)
		}
	}
}

func checkSaneOptions(t *testing.T, o *cloudprovider.Options) {
	t.Helper()
	if o == nil {
		return
	}
	for _, d := range []*time.Duration{o.ScaleDownUnneededTime, o.ScaleDownUnreadyTime, o.MaxNodeProvisionTime, o.MaxNodeStartupTime} {
		if d != nil && *d <= 0 {
			t.Errorf("an option is %v", *d)
		}
	}
	for _, share := range []*float64{o.ScaleDownUtilizationThreshold, o.ScaleDownGpuUtilizationThreshold} {
		if share != nil && !(*share >= 0 && *share <= 1) {
			t.Errorf("an option is %v", *share)
		}
	}
}

func TestAnErrorIsTheSameOnTheOtherSideOfTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		class := rapid.SampledFrom([]cloudprovider.Class{
			cloudprovider.ClassOutOfResources, cloudprovider.ClassQuota, cloudprovider.ClassTransient, cloudprovider.ClassNotFound,
			cloudprovider.ClassUnauthorized, cloudprovider.ClassInvalid, cloudprovider.ClassLimit, cloudprovider.ClassNotImplemented, cloudprovider.ClassOther,
		}).Draw(t, "class")
		sent := &cloudprovider.Error{
			Class: class, Doing: "do it", Code: rapid.StringMatching("[A-Z_]{0,20}").Draw(t, "code"),
			RetryAfter: time.Duration(rapid.Int64Range(0, int64(longestRetry)).Draw(t, "retry after")), Err: errors.New(rapid.String().Draw(t, "cause")),
		}
		for name, got := range map[string]error{"read": readError("ask", Status(sent)), "write": writeError("ask", Status(sent), time.Second)} {
			typed, ok := errors.AsType[*cloudprovider.Error](got)
			if !ok || typed.Class != sent.Class || typed.Code != sent.Code || typed.RetryAfter != sent.RetryAfter || errors.Is(got, ErrUnknownOutcome) {
				t.Fatalf("a %s that fails with %v gives %v", name, sent, got)
			}
		}
	})
}

func TestStatusesOfServersThatTellNoClassAreSorted(t *testing.T) {
	for name, c := range map[string]struct {
		err           error
		read, written cloudprovider.Class
		unknown       bool
	}{
		"no code":           {status.Error(codes.Unknown, "boom"), cloudprovider.ClassOther, cloudprovider.ClassOther, false},
		"not there":         {status.Error(codes.NotFound, ""), cloudprovider.ClassNotFound, cloudprovider.ClassNotFound, false},
		"wrong":             {status.Error(codes.InvalidArgument, ""), cloudprovider.ClassInvalid, cloudprovider.ClassInvalid, false},
		"no rights":         {status.Error(codes.PermissionDenied, ""), cloudprovider.ClassUnauthorized, cloudprovider.ClassUnauthorized, false},
		"out of range":      {status.Error(codes.OutOfRange, ""), cloudprovider.ClassLimit, cloudprovider.ClassLimit, false},
		"not offered":       {status.Error(codes.Unimplemented, ""), cloudprovider.ClassNotImplemented, cloudprovider.ClassNotImplemented, false},
		"no machines":       {status.Error(codes.ResourceExhausted, "none left"), cloudprovider.ClassOutOfResources, cloudprovider.ClassOutOfResources, false},
		"no quota":          {status.Error(codes.ResourceExhausted, "Quota exceeded"), cloudprovider.ClassQuota, cloudprovider.ClassQuota, false},
		"too large":         {status.Error(codes.ResourceExhausted, "grpc: received message larger than max"), cloudprovider.ClassOther, cloudprovider.ClassOther, false},
		"away":              {status.Error(codes.Unavailable, "EOF"), cloudprovider.ClassTransient, cloudprovider.ClassTransient, true},
		"too slow":          {status.Error(codes.DeadlineExceeded, ""), cloudprovider.ClassTransient, cloudprovider.ClassTransient, true},
		"given up":          {status.Error(codes.Canceled, ""), cloudprovider.ClassTransient, cloudprovider.ClassTransient, true},
		"no trust":          {status.Error(codes.Unavailable, "authentication handshake failed: x509"), cloudprovider.ClassUnauthorized, cloudprovider.ClassTransient, true},
		"not gRPC's at all": {errors.New("something"), cloudprovider.ClassOther, cloudprovider.ClassOther, false},
	} {
		t.Run(name, func(t *testing.T) {
			read, written := readError("ask", c.err), writeError("order", c.err, time.Minute)
			if cloudprovider.ClassOf(read) != c.read || cloudprovider.ClassOf(written) != c.written {
				t.Errorf("a read gives %v and a write %v", read, written)
			}
			if errors.Is(read, ErrUnknownOutcome) || errors.Is(written, ErrUnknownOutcome) != c.unknown {
				t.Errorf("a read gives %v and a write %v; want an unknown outcome of the write: %v", read, written, c.unknown)
			}
		})
	}
}
