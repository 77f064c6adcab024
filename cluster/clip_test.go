package cluster_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
)

// A kubelet may write its version and the reasons of its conditions at any length. They are part of messages that the ledger keeps, and a ledger that is full
// stops everything.
func TestWhatAKubeletWritesAtLengthIsCut(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "liar"}}
	node.Status.NodeInfo.KubeletVersion = "v1.35.0-" + strings.Repeat("é", 300_000)
	node.Status.Conditions = []corev1.NodeCondition{{Type: "Mad", Status: corev1.ConditionTrue, Reason: strings.Repeat("Ü", 300_000)}}
	trimmer := cluster.NewTrimmer()
	once, _ := trimmer.Trim(node)
	twice, _ := trimmer.Trim(once)
	for _, trimmed := range []*corev1.Node{once.(*corev1.Node), twice.(*corev1.Node)} {
		for _, text := range []string{trimmed.Status.NodeInfo.KubeletVersion, trimmed.Status.Conditions[0].Reason} {
			if len(text) > 256 || !utf8.ValidString(text) || !strings.HasSuffix(text, "…") {
				t.Errorf("%d bytes are kept: %.40q", len(text), text)
			}
		}
	}
	if once.(*corev1.Node).Status.NodeInfo.KubeletVersion[:8] != "v1.35.0-" || len(node.Status.Conditions[0].Reason) != 600_000 {
		t.Error("the version can't be told any more, or the object itself was changed")
	}
}
