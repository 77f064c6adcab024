package simulation

import (
	"hash/fnv"
	"io"
	"math/rand/v2"
)

// dice draw numbers that depend on the seed, on who asks, and on how often that one has asked before, and on nothing else. So what happens to one
// pod or node stays the same when something is added elsewhere, and the difference of two logs shows what a change did.
type dice struct {
	seed  uint64
	salt  string
	asked map[string]uint64
}

// newDice makes dice of a seed; those with different salts have nothing to do with each other.
func newDice(seed uint64, salt string) *dice {
	return &dice{seed: seed, salt: salt, asked: map[string]uint64{}}
}

func (d *dice) draw(who string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, d.salt)
	_, _ = io.WriteString(h, who)
	n := d.asked[who]
	d.asked[who] = n + 1
	var p rand.PCG
	p.Seed(d.seed<<32^n, h.Sum64())
	p.Uint64() // the first number still resembles the seed
	return p.Uint64()
}
