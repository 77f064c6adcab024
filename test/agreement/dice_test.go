package agreement

import (
	"math/rand/v2"

	"k8s.io/apimachinery/pkg/api/resource"
)

// dice draw one case. The same seed and number give the same draws.
type dice struct{ *rand.Rand }

func roll(seed, number uint64) dice { return dice{rand.New(rand.NewPCG(seed, number))} }

// one is true once in n times.
func (d dice) one(n int) bool { return d.IntN(n) == 0 }

// between is a number from least to most.
func (d dice) between(least, most int) int { return least + d.IntN(most-least+1) }

// pick takes one of the values; a value that is given twice comes twice as often.
func pick[T any](d dice, of ...T) T { return of[d.IntN(len(of))] }

// some takes least to most of the values, each at most once, in any order.
func some[T any](d dice, least, most int, of ...T) []T {
	d.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
	return of[:min(d.between(least, most), len(of))]
}

// amount reads a quantity.
func amount(text string) resource.Quantity { return resource.MustParse(text) }
