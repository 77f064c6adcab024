package dashboard

import (
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/report"
)

// The states of a cell.
const (
	ready    = "ready"
	starting = "starting"
	sick     = "sick"
	leaving  = "leaving"
)

// Cell is one node, or one instance that is no node yet. A frame has thousands of them, so their keys are short.
type Cell struct {
	Name  string `json:"n"`
	State string `json:"s"`
	// Used is the larger share, in percent, of CPU and memory that the pods request.
	Used int64 `json:"u"`
	// Owner is the job that has the node in work, and Phase how far it is.
	Owner ledger.Owner `json:"o,omitempty"`
	Phase string       `json:"p,omitempty"`
	// Old says that the kubelet has another version than the pool is to have.
	Old      bool   `json:"b,omitempty"`
	Cordoned bool   `json:"c,omitempty"`
	Zone     string `json:"z,omitempty"`
}

// frame is all that the page shows at one moment, but for the time line.
type frame struct {
	plan   *plan.Plan
	status json.RawMessage
	// cells by pool, as JSON: a stream sends those that it has not sent yet.
	cells map[string]string
}

// frameOf is the frame of a view; it is made once for all who look.
func (d *Dashboard) frameOf(v report.View) (*frame, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.drawn != nil && d.drawn.plan == v.Plan {
		return d.drawn, nil
	}
	status, err := json.Marshal(shortened(report.StatusOf(v.Leader, d.version, v.Plan, v.Snapshot)))
	if err != nil {
		return nil, err
	}
	f := &frame{plan: v.Plan, status: status, cells: map[string]string{}}
	for pool, cells := range d.cells(v.Plan, v.Snapshot) {
		text, err := json.Marshal(cells)
		if err != nil {
			return nil, err
		}
		f.cells[pool] = string(text)
	}
	d.drawn = f
	return f, nil
}

// namesMost is how many names of pods or nodes a list in a frame holds; beside it stands their number. The page shows fewer, and ten thousand waiting
// pods would make every frame as large as the cluster.
const namesMost = 10

// shortened is a status of which only this page makes use: its lists of names are cut, and what belongs to them stays as it is.
func shortened(s report.Status) report.Status {
	for i := range s.Pods {
		s.Pods[i].Pods = s.Pods[i].Pods[:min(namesMost, len(s.Pods[i].Pods))]
	}
	for i := range s.Held {
		s.Held[i].Nodes = s.Held[i].Nodes[:min(namesMost, len(s.Held[i].Nodes))]
	}
	return s
}

// cells are the nodes of each pool in the order of zones and names.
func (d *Dashboard) cells(p *plan.Plan, s *cluster.Snapshot) map[string][]Cell {
	loads := d.loads.Of(s)
	versions := map[string]string{}
	cells := map[string][]Cell{}
	for _, line := range p.Pools {
		versions[line.Name] = line.Version
		cells[line.Name] = []Cell{}
	}
	claims, expected := map[string]ledger.Claim{}, map[string]ledger.Claim{}
	for _, c := range p.Claims {
		claims[c.Node.Key()] = c
		if c.Replacement != (ledger.NodeRef{}) {
			expected[c.Replacement.Key()] = c
		}
	}
	ill := map[string]bool{}
	for _, incident := range s.Ledger.Incidents() {
		ill[incident.Node.Key()] = true
	}
	enter := func(pool string, key string, cell Cell) {
		if c, ok := claims[key]; ok {
			cell.State, cell.Owner, cell.Phase = leaving, c.Owner, string(c.Phase)
		} else if c, ok := expected[key]; ok {
			cell.Owner, cell.Phase = c.Owner, "Replacement of "+c.Node.String()
		}
		cells[pool] = append(cells[pool], cell)
	}
	for _, row := range s.Rows {
		if s.PoolAt(row) == nil {
			continue
		}
		key := cluster.Ref(row.Node).Key()
		cell := Cell{
			Name: row.Node.Name, State: ready, Used: loads[row].Used(), Cordoned: row.Node.Spec.Unschedulable, Zone: row.Node.Labels[corev1.LabelTopologyZone],
			Old: versions[row.Pool] != "" && row.Node.Status.NodeInfo.KubeletVersion != versions[row.Pool],
		}
		switch {
		case !cluster.IsReady(row.Node) && ill[key]:
			cell.State = sick
		case !cluster.IsReady(row.Node):
			cell.State = starting
		}
		enter(row.Pool, key, cell)
	}
	for id, instance := range s.Strays.All() {
		cell := Cell{Name: id, State: starting, Zone: instance.Zone}
		if ill[id] {
			cell.State = sick
		}
		enter(instance.Pool, id, cell)
	}
	for _, list := range cells {
		slices.SortStableFunc(list, func(a, b Cell) int { return strings.Compare(a.Zone, b.Zone) })
	}
	return cells
}
