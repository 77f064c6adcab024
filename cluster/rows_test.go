package cluster

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// plainRow is a row as the tables of the snapshot have it. Pods are told by where their slice begins, because readers compare that.
type plainRow struct {
	Node, Pool string
	Instance   *Instance
	Pods       int
	Same       bool // node and pods are the very ones of the tables
}

// rowsOf are the rows by the tables alone, and seenRows those that the snapshot gives.
func rowsOf(s *Snapshot) (rows []plainRow, strays map[string]*Instance, by map[string]string) {
	by, strays = map[string]string{}, map[string]*Instance{}
	for name, node := range s.Nodes.All() {
		if node.Spec.ProviderID != "" {
			by[node.Spec.ProviderID] = name
		}
	}
	for name, node := range s.Nodes.All() {
		row := plainRow{Node: name, Pods: len(s.PodsOn(name)), Same: true}
		if pool := s.PoolOf(node); pool != nil {
			row.Pool = pool.Name
		}
		if by[node.Spec.ProviderID] == name {
			row.Instance, _ = s.Instances.Get(node.Spec.ProviderID)
		}
		rows = append(rows, row)
	}
	for id, instance := range s.Instances.All() {
		if by[id] == "" {
			strays[id] = instance
		}
	}
	return rows, strays, by
}

func seenRows(s *Snapshot) (rows []plainRow, strays map[string]*Instance, by map[string]string) {
	by, strays = map[string]string{}, map[string]*Instance{}
	for _, row := range s.Rows {
		node, _ := s.Nodes.Get(row.Node.Name)
		pods := s.PodsOn(row.Node.Name)
		seen := plainRow{
			Node: row.Node.Name, Instance: row.Instance, Pods: len(row.Pods),
			Same: node == row.Node && len(pods) == len(row.Pods) && (len(pods) == 0 || &pods[0] == &row.Pods[0]),
		}
		if pool := s.PoolAt(row); pool != nil {
			seen.Pool = pool.Name
		}
		rows = append(rows, seen)
		if id := row.Node.Spec.ProviderID; id != "" {
			by[id] = s.NodeBy(id).Name
		}
	}
	maps.Insert(strays, s.Strays.All())
	return rows, strays, by
}

func TestRowsSayWhatTheTablesSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			h.step()
			if !rapid.Bool().Draw(t, "look") {
				continue
			}
			s := h.cluster.Snapshot()
			rows, strays, by := rowsOf(s)
			seen, seenStrays, seenBy := seenRows(s)
			if diff := cmp.Diff(rows, seen); diff != "" {
				t.Fatalf("rows by the tables (-) and as they are (+):\n%s", diff)
			}
			if diff := cmp.Diff(strays, seenStrays); diff != "" {
				t.Fatalf("strays by the tables (-) and as they are (+):\n%s", diff)
			}
			if diff := cmp.Diff(by, seenBy); diff != "" {
				t.Fatalf("nodes by provider ID, by the tables (-) and as they are (+):\n%s", diff)
			}
		}
	})
}

func TestANodeOfWhichNothingChangedKeepsItsRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		kept, looked := 0, 0
		var before []*Row
		for range 60 {
			h.step()
			s := h.cluster.Snapshot()
			old := map[string]*Row{}
			for _, row := range before {
				old[row.Node.Name] = row
			}
			for _, row := range s.Rows {
				was := old[row.Node.Name]
				same := was != nil && was.Node == row.Node && was.Instance == row.Instance && was.Pool == row.Pool &&
					len(was.Pods) == len(row.Pods) && (len(row.Pods) == 0 || &was.Pods[0] == &row.Pods[0])
				looked++
				if was == row {
					kept++
				}
				if same && was != row {
					t.Fatalf("node %s has a new row, and nothing about it is another", row.Node.Name)
				}
			}
			before = s.Rows
		}
		if looked > 100 && kept == 0 {
			t.Fatalf("not one of %d rows was kept", looked)
		}
	})
}
