package simulation

import "testing"

func TestDiceOfOneAskerDoNotDependOnTheOthers(t *testing.T) {
	alone, among := newDice(1, "delays"), newDice(1, "delays")
	for i := range 100 {
		for range i % 3 {
			among.draw("somebody else")
		}
		if a, b := alone.draw("pod"), among.draw("pod"); a != b {
			t.Fatalf("draw %d: %d alone, %d among others", i, a, b)
		}
	}
}

func TestDiceAreFair(t *testing.T) {
	for _, who := range []string{"a", "b", "pod/web-1", "pod/web-2"} {
		var counts [10]int
		d := newDice(7, "delays")
		for range 10_000 {
			counts[d.draw(who)%10]++
		}
		for face, n := range counts {
			if n < 850 || n > 1150 {
				t.Errorf("%s: face %d came %d times of 10,000", who, face, n)
			}
		}
	}
	first := map[uint64]int{}
	for seed := range uint64(1000) {
		first[newDice(seed, "ties").draw("pod")%10]++
	}
	for face, n := range first {
		if n < 60 || n > 140 {
			t.Errorf("over 1,000 seeds face %d came first %d times", face, n)
		}
	}
}
