package chart

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files anew")

const namespace = "keeping"

// render is what a helm makes of a case of the matrix.
func render(t *testing.T, module, name string, more ...string) string {
	t.Helper()
	args := []string{
		"template", "poolkeeper", folder(t), "--namespace", namespace, "--kube-version", "1.36.3", "--api-versions", "monitoring.coreos.com/v1",
		"--values", filepath.Join("testdata", name, "values.yaml"),
	}
	if name == "observe-after-acting" {
		args = append(args, "--is-upgrade")
	}
	text, err := helm(t, module, append(args, more...)...)
	must(t, err)
	return text
}

func cases(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("testdata")
	must(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestTheMatrixRendersAsTheGoldenFilesSay(t *testing.T) {
	for _, name := range cases(t) {
		path := filepath.Join("testdata", name, "rendered.yaml")
		got := render(t, "helm", name)
		if *update {
			must(t, os.WriteFile(path, []byte(got), 0o644))
		}
		want, err := os.ReadFile(path)
		must(t, err)
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s differs; look, and if it is right: go test ./test/e2e/chart -run Matrix -update (-want +got):\n%s", path, diff)
		}
	}
}

func TestBothHelmsRenderTheSame(t *testing.T) {
	for _, name := range cases(t) {
		if diff := cmp.Diff(objects(t, render(t, "helm", name)), objects(t, render(t, "helm-4", name))); diff != "" {
			t.Errorf("%s (-Helm 3 +Helm 4):\n%s", name, diff)
		}
	}
}

// Whoever looks at the chart before there is a cluster types no more than this. Both Helms then render for the Kubernetes version that they were made for.
func TestItRendersWithoutAClusterToAsk(t *testing.T) {
	for _, module := range helms {
		text, err := helm(t, module, "template", "poolkeeper", folder(t), "--set", "provider=scaleway", "--set", "cloudConfigSecret=cloud")
		must(t, err)
		objects(t, text)
		_, err = helm(t, module, "template", "poolkeeper", folder(t), "--kube-version", "1.33.0")
		if err == nil || !strings.Contains(err.Error(), "requires kubeVersion: >= 1.34.0-0") {
			t.Errorf("%s for Kubernetes 1.33: %v", module, err)
		}
	}
}

// objects are the objects of a text, by kind and name.
func objects(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for document := range strings.SplitSeq(text, "\n---\n") {
		var object map[string]any
		must(t, yaml.Unmarshal([]byte(document+"\n"), &object)) // the separator took the line end that a last block of text keeps
		if metadata, ok := object["metadata"].(map[string]any); ok {
			all[object["kind"].(string)+" "+metadata["name"].(string)] = object
		}
	}
	if len(all) < 8 {
		t.Fatalf("only %d objects", len(all))
	}
	return all
}

func TestLintHasNothingToSay(t *testing.T) {
	for _, module := range helms {
		for _, name := range cases(t) {
			if _, err := helm(t, module, "lint", "--strict", folder(t), "--values", filepath.Join("testdata", name, "values.yaml")); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestTheAPIServerTakesEveryRender(t *testing.T) {
	crds := definitions(t.Context(), t)
	for _, kind := range []string{"prometheusrules", "servicemonitors"} {
		must(t, kubectl(t, "", "apply", "--server-side", "-f", filepath.Join(crds, "monitoring.coreos.com_"+kind+".yaml")))
		must(t, kubectl(t, "", "wait", "--for=condition=Established", "--timeout=60s", "crd/"+kind+".monitoring.coreos.com"))
	}
	must(t, kubectl(t, "", "create", "namespace", namespace))
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			text := render(t, "helm", name)
			must(t, kubectl(t, text, "apply", "--server-side", "--validate=strict", "-f", "-"))
			must(t, kubectl(t, text, "delete", "--wait=false", "-f", "-"))
		})
	}
}

func TestTyposAreRefusedByName(t *testing.T) {
	for set, want := range map[string]string{
		"mod=act": "mod", "mode=active": "mode", "provider=": "provider", "provider=scalway": "provider", "image.tags=v1": "tags", "replicas=0": "replicas",
		"replicas=two": "replicas", "extraArgs[0]=scan-interval=1s": "extraArgs", "metrics.discovery=operator": "discovery", "alerts.enable=true": "enable",
		"networkPolicy.egressPorts[0]=0": "egressPorts", "resources.request.cpu=1": "request", "cloudConfigs.aws=x": "aws", "serviceAccount.create=true": "create",
		"notify.about=all": "about", "notify.url=https://x": "url", "auditLog=stdout": "auditLog",
	} {
		for _, module := range helms {
			_, err := helm(t, module, "template", "poolkeeper", folder(t), "--set", set)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s --set %s: %v", module, set, err)
			}
		}
	}
}

// TestAnObserverMayWriteNothingOfTheCluster reads the rights of a fresh installation with its three values.
func TestAnObserverMayWriteNothingOfTheCluster(t *testing.T) {
	allowed := map[string][]string{"events": {"create", "patch"}}
	for key, object := range objects(t, render(t, "helm", "three-values")) {
		if !strings.HasPrefix(key, "ClusterRole ") {
			continue
		}
		var role rbacv1.ClusterRole
		into(t, object, &role)
		for _, rule := range role.Rules {
			for _, verb := range rule.Verbs {
				for _, resource := range rule.Resources {
					if !slices.Contains([]string{"get", "list", "watch"}, verb) && !slices.Contains(allowed[resource], verb) {
						t.Errorf("%s may %s %s", role.Name, verb, resource)
					}
				}
			}
		}
	}
}

// TestThePodsAreAsRestrictedAsTheyCanBe is the Pod Security Standards' level "restricted", and what the issue of every audit is.
func TestThePodsAreAsRestrictedAsTheyCanBe(t *testing.T) {
	for _, name := range cases(t) {
		var deployment appsv1.Deployment
		into(t, objects(t, render(t, "helm", name))["Deployment poolkeeper"], &deployment)
		pod, container := deployment.Spec.Template.Spec, deployment.Spec.Template.Spec.Containers[0]
		for what, holds := range map[string]bool{
			"two replicas":              *deployment.Spec.Replicas >= 2,
			"not root":                  *pod.SecurityContext.RunAsNonRoot && *pod.SecurityContext.RunAsUser > 0,
			"the runtime's seccomp":     pod.SecurityContext.SeccompProfile.Type == "RuntimeDefault",
			"no escalation":             !*container.SecurityContext.AllowPrivilegeEscalation,
			"no capabilities":           len(container.SecurityContext.Capabilities.Drop) == 1 && container.SecurityContext.Capabilities.Drop[0] == "ALL",
			"read-only root":            *container.SecurityContext.ReadOnlyRootFilesystem,
			"requests and a limit":      !container.Resources.Requests.Cpu().IsZero() && !container.Resources.Limits.Memory().IsZero(),
			"probes":                    container.LivenessProbe != nil && container.ReadinessProbe != nil,
			"priority":                  pod.PriorityClassName == "system-cluster-critical",
			"spread over zones":         pod.TopologySpreadConstraints[0].TopologyKey == "topology.kubernetes.io/zone",
			"checksum of configuration": len(deployment.Spec.Template.Annotations["checksum/config"]) == 64,
		} {
			if !holds {
				t.Errorf("%s: no %s", name, what)
			}
		}
	}
}

func TestAnotherConfigurationMakesOtherPods(t *testing.T) {
	sum := func(more ...string) string {
		var deployment appsv1.Deployment
		into(t, objects(t, render(t, "helm", "act-everything", more...))["Deployment poolkeeper"], &deployment)
		return deployment.Spec.Template.Annotations["checksum/config"]
	}
	same, other := sum(), sum("--set-string", "cloudConfig=pools: []")
	if same != sum() || same == other {
		t.Errorf("the checksums are %s and %s", same, other)
	}
}

func into(t *testing.T, object map[string]any, target any) {
	t.Helper()
	text, err := yaml.Marshal(object)
	must(t, err)
	must(t, yaml.UnmarshalStrict(text, target))
}

// installLimit is how long Helm may take for what has no pods to wait for.
const installLimit = time.Minute

func TestInstallUpgradeAndUninstallLeaveNothingBehind(t *testing.T) {
	for _, module := range helms {
		t.Run(module, func(t *testing.T) {
			place := "with-" + module
			must(t, kubectl(t, "", "create", "namespace", place))
			on := []string{"--namespace", place, "--kubeconfig", plane.Kubeconfig("admin"), "--timeout", installLimit.String()}
			run := func(args ...string) {
				t.Helper()
				_, err := helm(t, module, append(args, on...)...)
				must(t, err)
			}
			run("install", "poolkeeper", folder(t), "--set", "provider=scaleway", "--set", "cloudConfigSecret=cloud")
			run("upgrade", "poolkeeper", folder(t), "--reuse-values", "--set", "mode=act")
			run("uninstall", "poolkeeper", "--no-hooks") // no kubelet would run the hook's job here
			for _, kinds := range []string{"deployments,services,serviceaccounts,configmaps,secrets,roles,rolebindings,poddisruptionbudgets,networkpolicies,jobs", "clusterroles,clusterrolebindings"} {
				out, err := get(t, kinds, place)
				must(t, err)
				if out != "" {
					t.Errorf("left behind: %s", out)
				}
			}
			for _, kinds := range []string{"roles", "rolebindings"} {
				for _, elsewhere := range []string{"kube-system", "kube-node-lease"} {
					out, err := get(t, kinds, elsewhere)
					must(t, err)
					if out != "" {
						t.Errorf("left behind in %s: %s", elsewhere, out)
					}
				}
			}
		})
	}
}
