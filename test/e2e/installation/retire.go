package installation

import (
	"os/exec"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// Retire does what Helm does before it uninstalls: it makes what the chart's hook consists of, and runs the hook's program with the hook's rights to its end.
// It gives what the program says.
func (i *Installation) Retire(chart *Chart) string {
	i.t.Helper()
	values, _ := chart.values(i)
	var args []string
	for _, object := range Render(i.t, i.Namespace, append(values, "--show-only", "templates/retire.yaml")...) {
		switch o := object.(type) {
		case *batchv1.Job:
			args = slices.Clone(o.Spec.Template.Spec.Containers[0].Args)
		case *corev1.ServiceAccount, *rbacv1.Role, *rbacv1.RoleBinding, *rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding:
			i.Create(o)
		}
	}
	kubeconfig, err := i.plane.ServiceAccountKubeconfig(i.t.Context(), i.Namespace, nameIn(i.Namespace)+"-retire")
	must(i.t, err)
	out, err := exec.CommandContext(i.t.Context(), i.program, append(args, "--kubeconfig="+kubeconfig)...).CombinedOutput()
	if err != nil {
		i.t.Fatalf("the hook has failed: %v\n%s", err, out)
	}
	return string(out)
}
