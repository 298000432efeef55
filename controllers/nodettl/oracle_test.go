package nodettl

import (
	"math/rand/v2"
	"testing"
)

// A walk of numbers of nodes stays in its step as long as that has the number,
// and otherwise is in the nearest that does.
func TestNextAgainstAWalk(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	nodes, current := 0, 0
	for range 20000 {
		nodes = max(0, nodes+rng.IntN(401)-199)
		if rng.IntN(200) == 0 {
			nodes = rng.IntN(3000)
		}
		has := func(i int) bool { return steps()[i].from <= nodes && nodes <= steps()[i].to }
		want := current
		for distance := 0; !has(want); distance++ {
			for _, i := range []int{current - distance, current + distance} {
				if i >= 0 && i < len(steps()) && has(i) {
					want = i
				}
			}
		}
		if got := Next(nodes, current); got != want {
			t.Fatalf("%d nodes from step %d: %d, want %d", nodes, current, got, want)
		}
		current = want
	}
}
