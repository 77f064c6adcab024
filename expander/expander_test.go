package expander_test

import (
	"context"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/expander"
	"github.com/poolkeeper/poolkeeper/expander/protos"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/test/certificates"
)

// chooser is an expander that prefers pools by their names.
type chooser struct {
	protos.UnimplementedExpanderServer
	prefers []string
	err     error
	asked   *protos.BestOptionsRequest
}

func (c *chooser) BestOptions(_ context.Context, q *protos.BestOptionsRequest) (*protos.BestOptionsResponse, error) {
	c.asked = q
	answer := &protos.BestOptionsResponse{}
	for _, name := range c.prefers {
		answer.Options = append(answer.Options, &protos.Option{NodeGroupId: name})
	}
	return answer, c.err
}

// serve serves the expander, and gives its address.
func serve(t *testing.T, c *chooser, options ...grpc.ServerOption) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	protos.RegisterExpanderServer(server, c)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

func ask(t *testing.T, address, certificates string) ([]string, error) {
	t.Helper()
	client, err := expander.New(address, certificates)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return client.Best(ctx, []plan.Option{
		{Pool: "big", Nodes: 1, Node: &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "big-new"}}, Pods: []*corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "web-1"}}}},
		{Pool: "small", Nodes: 3},
	})
}

func TestTheExpanderChooses(t *testing.T) {
	for _, test := range []struct {
		name string
		is   chooser
		want []string
		err  string
	}{
		{"one", chooser{prefers: []string{"small"}}, []string{"small"}, ""},
		{"several, and what it was not asked about is left out", chooser{prefers: []string{"small", "other", "big"}}, []string{"small", "big"}, ""},
		{"none", chooser{}, nil, "chose none of the 2 pools"},
		{"it fails", chooser{err: status.Error(codes.Internal, "out of ideas")}, nil, "out of ideas"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ask(t, serve(t, &test.is), "")
			if !slices.Equal(got, test.want) || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("it chose %v, error %v; want %v and %q", got, err, test.want, test.err)
			}
		})
	}
}

// What another program reads by the cluster-autoscaler's definitions: pods and nodes as Kubernetes' own messages in the same fields.
func TestPodsAndNodesAreKubernetesOwnMessages(t *testing.T) {
	c := &chooser{prefers: []string{"big"}}
	if _, err := ask(t, serve(t, c), ""); err != nil {
		t.Fatal(err)
	}
	var pod corev1.Pod
	var node corev1.Node
	if err := pod.Unmarshal(c.asked.GetOptions()[0].GetPod()[0]); err != nil || pod.Name != "web-1" {
		t.Errorf("the pod is %q: %v", pod.Name, err)
	}
	if err := node.Unmarshal(c.asked.GetNodeMap()["big"]); err != nil || node.Name != "big-new" {
		t.Errorf("the node is %q: %v", node.Name, err)
	}
	if o := c.asked.GetOptions()[1]; o.GetNodeGroupId() != "small" || o.GetNodeCount() != 3 || c.asked.GetNodeMap()["small"] != nil {
		t.Errorf("the other option is %v", o)
	}
}

func TestTheExpanderIsTrustedByItsCertificate(t *testing.T) {
	folder := t.TempDir()
	authority, err := certificates.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	files, err := authority.Sign(folder)
	if err != nil {
		t.Fatal(err)
	}
	own, err := credentials.NewServerTLSFromFile(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	address := serve(t, &chooser{prefers: []string{"big"}}, grpc.Creds(own))
	if got, err := ask(t, address, files.CA); err != nil || !slices.Equal(got, []string{"big"}) {
		t.Errorf("it chose %v, error %v", got, err)
	}
	if _, err := ask(t, address, ""); err == nil {
		t.Error("a client without TLS was answered")
	}
	if _, err := expander.New(address, filepath.Join(folder, "none.pem")); err == nil || !strings.Contains(err.Error(), "--grpc-expander-cert=") {
		t.Errorf("a file that is not there: %v", err)
	}
}
