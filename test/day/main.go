// Day lets the whole daemon live through a day of a cluster, on the virtual clock: a wave of load with bursts, batch jobs, and a cloud that is out of stock
// for a while. It prints what the day cost against the least that it could have, and draws it.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	seed := flag.Uint64("seed", 1, "what decides everything that is left open")
	nodes := flag.Int("nodes", 280, "how many machines the top of the wave needs, about")
	hours := flag.Float64("hours", 24, "how long the day is")
	consolidate := flag.Bool("consolidate", false, "let the pools be consolidated")
	picture := flag.String("picture", "", "the `file` to draw the day into, as SVG")
	verbose := flag.Bool("v", false, "print everything that happens")
	flag.Parse()
	began := time.Now()
	o := options{seed: *seed, nodes: *nodes, length: time.Duration(*hours * float64(time.Hour)), consolidate: *consolidate}
	if *verbose {
		o.live = os.Stderr
	}
	r, err := live(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(r)
	fmt.Printf("%-34s %s\n", "wall clock", time.Since(began).Round(100*time.Millisecond))
	if *picture != "" {
		if err := os.WriteFile(*picture, []byte(draw(r)), 0o644); err != nil { //nolint:gosec // a picture for everybody
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
