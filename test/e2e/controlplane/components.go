package controlplane

import (
	"context"
	"embed"
	"fmt"
	"net"
	"os"
	"path/filepath"

	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"

	"github.com/poolkeeper/poolkeeper/cloudprovider/kwok"
	"github.com/poolkeeper/poolkeeper/test/e2e/process"
)

// The names of the components, for [ControlPlane.Component] and as names of their log files.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Kubelets          = "kwok"
)

// ServiceAddress is what pods call the API server by: the first address of the range of Services. Whoever runs real pods leads it to [ControlPlane.Address].
const ServiceAddress = "10.96.0.1"

//go:embed stages/*.yaml
var stages embed.FS

// auditPolicy keeps who did what to what, but not what the control plane's own components read, nor the heartbeats.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  users: ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler", "kwok"]
  verbs: [get, list, watch]
- level: None
  userGroups: ["system:serviceaccounts:kube-system"]
  verbs: [get, list, watch]
- level: None
  users: ["system:node:machine"]
  verbs: [get, list, watch]
- level: None
  users: ["kwok", "system:node:machine"]
  resources: [{group: coordination.k8s.io, resources: [leases]}]
- level: Metadata
`

// writeFiles writes everything that the components read: keys, tokens, kubeconfigs, the audit policy and kwok's stages.
func (c *ControlPlane) writeFiles() error {
	certificate, key, err := certutil.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.ParseIP(ServiceAddress)}, []string{"localhost", "kubernetes.default.svc"})
	if err != nil {
		return fmt.Errorf("making the API server's certificate: %w", err)
	}
	c.authority = certificate
	signing, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return fmt.Errorf("making the key that signs the ServiceAccounts' tokens: %w", err)
	}
	files := map[string][]byte{
		"apiserver.crt": certificate, "apiserver.key": key, "serviceaccount.key": signing,
		"tokens.csv": []byte(tokenFile()), "audit-policy.yaml": []byte(auditPolicy),
	}
	for _, name := range []string{"node.yaml", "pod.yaml"} {
		content, err := stages.ReadFile("stages/" + name)
		if err != nil {
			return err
		}
		files["stages.yaml"] = append(append(files["stages.yaml"], content...), "---\n"...)
	}
	for name, content := range files {
		if err := os.WriteFile(c.file(name), content, 0o600); err != nil {
			return err
		}
	}
	return c.writeKubeconfigs()
}

func (c *ControlPlane) file(name string) string { return filepath.Join(c.dir, name) }

// commands are the command lines of all components.
func (c *ControlPlane) commands(ctx context.Context) (map[string]process.Command, error) {
	kubernetes := "kubernetes-" + c.options.KubernetesVersion
	commands := map[string]process.Command{}
	for name, how := range map[string]struct {
		module string
		flags  []string
	}{
		Etcd:              {"etcd", c.etcdFlags()},
		APIServer:         {kubernetes, append(c.apiServerFlags(), c.options.APIServerFlags...)},
		ControllerManager: {kubernetes, append(c.controllerManagerFlags(), c.options.ControllerManagerFlags...)},
		Scheduler:         {kubernetes, append(c.schedulerFlags(), c.options.SchedulerFlags...)},
		Kubelets:          {"kwok", c.kwokFlags()},
	} {
		path, err := Tool(ctx, how.module, name)
		if err != nil {
			return nil, err
		}
		commands[name] = process.Command{
			Name: name, Path: path, Args: how.flags, Env: c.environment(), Log: filepath.Join(c.LogFolder(), name+".log"),
		}
	}
	return commands, nil
}

func (c *ControlPlane) etcdFlags() []string {
	client, peer := c.etcdPort.url("http"), c.peerPort.url("http")
	return []string{
		"--name=e2e", "--data-dir=" + c.file("etcd"),
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=e2e=" + peer,
		"--socket-reuse-port=true",
		"--unsafe-no-fsync=true", // what is lost with the machine is a test's
		"--log-level=warn",
	}
}

func (c *ControlPlane) apiServerFlags() []string {
	t := c.options.Timers
	return []string{
		"--etcd-servers=" + c.etcdPort.url("http"),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", c.apiPort.number), "--permit-port-sharing=true",
		"--tls-cert-file=" + c.file("apiserver.crt"), "--tls-private-key-file=" + c.file("apiserver.key"), "--cert-dir=" + c.dir,
		"--token-auth-file=" + c.file("tokens.csv"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.file("serviceaccount.key"), "--service-account-signing-key-file=" + c.file("serviceaccount.key"),
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		"--endpoint-reconciler-type=none", // there is one API server, and nobody routes to it
		"--audit-policy-file=" + c.file("audit-policy.yaml"), "--audit-log-path=" + c.file("audit.log"),
		"--audit-log-maxsize=100000", // MiB: never rotated, so that a reader finds the whole run in one file
		"--default-not-ready-toleration-seconds=" + seconds(t.PodEviction), "--default-unreachable-toleration-seconds=" + seconds(t.PodEviction),
	}
}

func (c *ControlPlane) controllerManagerFlags() []string {
	t := c.options.Timers
	return []string{
		"--kubeconfig=" + c.Kubeconfig(controllerManager), "--leader-elect=false", "--secure-port=0",
		"--controllers=*,-cloud-node-lifecycle-controller", // whether a machine is gone is for the daemon to say
		"--use-service-account-credentials=true", "--service-account-private-key-file=" + c.file("serviceaccount.key"),
		"--root-ca-file=" + c.file("apiserver.crt"),
		"--node-monitor-period=" + t.NodeMonitorPeriod.String(),
		"--node-monitor-grace-period=" + t.NodeMonitorGrace.String(),
		"--node-startup-grace-period=" + t.NodeStartupGrace.String(),
		"--kube-api-qps=200", "--kube-api-burst=400",
	}
}

func (c *ControlPlane) schedulerFlags() []string {
	return []string{
		"--kubeconfig=" + c.Kubeconfig(scheduler), "--leader-elect=false", "--secure-port=0",
		"--kube-api-qps=200", "--kube-api-burst=400",
	}
}

// kwokFlags leave out nodes with [kwok.OffLabel], and those of fleets, which have a process of their own (see [ControlPlane.Fleet]). The selection must be by label: the API server tells a watcher with a label selector that
// an object which no longer matches was deleted, so kwok lets go of the node at once, its lease and its pods included. Annotations are
// selected inside kwok, which doesn't notice when one is taken away.
func (c *ControlPlane) kwokFlags() []string { return c.kubeletFlags("!" + FleetLabel) }

// kubeletFlags are those of a kwok process for the nodes of a label selector.
func (c *ControlPlane) kubeletFlags(selector string) []string {
	return []string{
		"--kubeconfig=" + c.Kubeconfig(Kwok), "--config=" + c.file("stages.yaml"),
		"--manage-nodes-with-annotation-selector=" + kwok.ManagedAnnotation + "=" + kwok.ManagedValue,
		"--manage-nodes-with-label-selector=!" + kwok.OffLabel + "," + selector,
		"--node-lease-duration-seconds=" + seconds(c.options.Timers.NodeLease),
	}
}
