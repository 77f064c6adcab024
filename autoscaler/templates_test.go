package autoscaler_test

import (
	"testing"
	"time"

	"github.com/poolkeeper/poolkeeper/autoscaler"
	. "github.com/poolkeeper/poolkeeper/cluster/clustertest"
)

func TestATemplateThatTheNewestNodeContradictsIsTold(t *testing.T) {
	old := Node("a-old", In("small"), Born(Start.Add(-480*time.Hour)), Holds("2", "4Gi"))
	for _, test := range []struct {
		name   string
		things []any
		want   string
	}{
		{"as it says", []any{Pool("small", 0, 9, Template(Holds("4", "16Gi"))), old, Node("b", In("small"), Holds("4", "16Gi"))}, ``},
		{
			"otherwise",
			[]any{Pool("small", 0, 9, Template(Holds("4", "16Gi"))), old, Node("b", In("small"), Holds("4", "8Gi"), Label("team", "a"))},
			`setting small (TemplateDiffers): node b is not what the provider's template of pool small says: memory is 8Gi and not 16Gi; label team=a is there and not named`,
		},
		{"no node tells", []any{Pool("small", 0, 9, Template(Holds("4", "16Gi"))), Node("b", In("small"), Holds("4", "8Gi"), Cordoned())}, ``},
		{"no template tells", []any{Pool("small", 0, 9, NoTemplate()), Node("b", In("small"), Holds("4", "8Gi"))}, ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := decide(t, test.things, func(*autoscaler.Options) {})
			wellFormed(t, d)
			expect(t, only(told(d), "setting"), test.want)
		})
	}
}
