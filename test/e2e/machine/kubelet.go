package machine

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/poolkeeper/poolkeeper/test/e2e/controlplane"
)

// PauseImage is the name of the image that holds a pod's namespaces.
const PauseImage = "poolkeeper.io/e2e/pause:test"

// containerdFile is containerd's configuration. Its state is short, since sockets lie below it whose paths may have 107 letters at most.
const containerdFile = `version = 2
root = "FOLDER/containerd"
state = "FOLDER/run"
[grpc]
  address = "FOLDER/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "PAUSE"
  # Needs a capability otherwise that root in a virtual machine or container often lacks.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "PLUGINS"
    conf_dir = "FOLDER/network"
`

// networkFile has the pods' addresses from the bridge. There is no masquerading and no forwarding: pods reach each other and this machine.
const networkFile = `{"cniVersion": "0.4.0", "name": "poolkeeper-e2e", "plugins": [{"type": "bridge", "bridge": "BRIDGE", "ipam": {
  "type": "host-local", "dataDir": "FOLDER/addresses", "ranges": [[{"subnet": "SUBNET", "gateway": "GATEWAY"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
`

// kubeletFile is the kubelet's configuration. It needs no cgroups of its own, so that both versions of them will do.
const kubeletFile = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: GATEWAY
port: PORT
healthzPort: 0
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
containerRuntimeEndpoint: unix://FOLDER/containerd.sock
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
failSwapOn: false
evictionHard: {memory.available: "0%", nodefs.available: "0%", imagefs.available: "0%"}
imageGCHighThresholdPercent: 100
nodeLeaseDurationSeconds: LEASE
nodeStatusUpdateFrequency: 2s
nodeStatusReportFrequency: 10s
podLogsDir: FOLDER/logs
resolvConf: FOLDER/resolv.conf
clusterDNS: [GATEWAY]
clusterDomain: cluster.local
registerWithTaints: [{key: LABEL, value: "true", effect: NoSchedule}]
`

func (m *Machine) writeFiles() error {
	listener, err := net.Listen("tcp", net.JoinHostPort(gateway, "0")) // taken for a moment, to find one that is free
	if err != nil {
		return err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	fill := strings.NewReplacer("FOLDER", m.folder, "PAUSE", PauseImage, "PLUGINS", networkPlugins, "BRIDGE", bridge, "SUBNET", subnet, "GATEWAY", gateway,
		"PORT", fmt.Sprint(port), "LEASE", fmt.Sprint(int(controlplane.ShortTimers().NodeLease.Seconds())), "LABEL", controlplane.MachineLabel)
	if err := os.Mkdir(m.file("network"), 0o755); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"containerd.toml": containerdFile, "network/10-bridge.conflist": networkFile, "kubelet.yaml": kubeletFile, "resolv.conf": "",
	} {
		if err := os.WriteFile(m.file(name), []byte(fill.Replace(content)), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (m *Machine) startKubelet(ctx context.Context) error {
	path, err := controlplane.Tool(ctx, "kubernetes-1.36", "kubelet")
	if err != nil {
		return err
	}
	m.kubelet, err = m.plane.Run("kubelet", path, "--config="+m.file("kubelet.yaml"), "--kubeconfig="+m.plane.Kubeconfig(controlplane.Kubelet),
		"--root-dir="+m.file("kubelet"), "--cert-dir="+m.file("certificates"), "--hostname-override="+controlplane.Machine, "--node-ip="+gateway,
		"--node-labels="+controlplane.MachineLabel+"=true")
	return err
}
