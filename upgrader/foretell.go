package upgrader

import (
	"github.com/poolkeeper/poolkeeper/ledger"
	"github.com/poolkeeper/poolkeeper/plan"
)

// foretell says what would be rolled, in order, whether it may now or not: days before the window people can see what stands in the way.
func (p *pass) foretell(ordered []candidate, room *room, held *hold, r ledger.Rollout) {
	if len(ordered) == 0 {
		return
	}
	rollout := plan.Rollout{Pool: p.pool.Name, Target: p.text, AtOnce: room.maxSurge + room.maxMissing, NodeEstimate: p.opts.NodeEstimate}
	if r.Preflight.Room.First > 0 {
		rollout.Room = &r.Preflight.Room
	}
	for _, c := range ordered {
		rollout.Nodes = append(rollout.Nodes, c.node.Name)
	}
	if held != nil {
		rollout.Held, rollout.Message = held.why, held.message
	}
	if w := p.window(); w != nil {
		_, rollout.Closes, rollout.Opens = w.At(p.now)
		begins, ends := p.now, rollout.Closes
		if !rollout.Opens.IsZero() {
			begins = rollout.Opens
			_, ends, _ = w.At(begins)
		}
		if !ends.IsZero() {
			rollout.WindowLength = ends.Sub(begins)
		}
	}
	p.Rollouts = append(p.Rollouts, rollout)
}
