package faults

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/poolkeeper/poolkeeper/scheduling"
)

// shrinkLives bounds how often a day is lived again to make it smaller.
const shrinkLives = 200

// shrink finds few events of a day that still go wrong: it leaves out halves, quarters and so on, for as long as something does.
func shrink(d day, engine scheduling.Engine) (kept []int, out result) {
	for i := range d.events {
		kept = append(kept, i)
	}
	out = live(d, engine, func(int) bool { return true })
	lives := 1
	for size := len(kept) / 2; size > 0 && lives < shrinkLives; {
		smaller := false
		for at := 0; at < len(kept) && lives < shrinkLives; {
			fewer := slices.Delete(slices.Clone(kept), at, min(at+size, len(kept)))
			lives++
			if again := live(d, engine, among(fewer)); again.trouble != "" {
				kept, out, smaller = fewer, again, true
				continue
			}
			at += size
		}
		if !smaller {
			size /= 2
		} else {
			size = min(size, max(len(kept)/2, 1))
		}
	}
	return kept, out
}

func among(kept []int) func(int) bool { return func(i int) bool { return slices.Contains(kept, i) } }

// written is a list of events as it is given to the command that lives a day again.
func written(kept []int) string {
	words := make([]string, len(kept))
	for i, n := range kept {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ",")
}

// events reads such a list; empty is all.
func events(d day, text string) (func(int) bool, error) {
	if text == "" {
		return func(int) bool { return true }, nil
	}
	var kept []int
	for word := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 0 || n >= len(d.events) {
			return nil, fmt.Errorf("-events: %q is no event of the day; there are %d, from 0 on", word, len(d.events))
		}
		kept = append(kept, n)
	}
	return among(kept), nil
}
