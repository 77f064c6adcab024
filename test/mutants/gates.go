package main

import (
	"fmt"
	"regexp"
	"strings"
)

// listOfGates is a function of the arbiter that gives an ordered list of gates, and a gate a line of it.
var (
	listOfGates = regexp.MustCompile(`(?m)^func (\w+)\(\) \[\]gate \{\n\treturn \[\]gate\{\n((?:\t\t\{.*\n)+)`)
	gate        = regexp.MustCompile(`(?m)^\t\t\{"([^"]+)", (\(\*pass\)\.\w+)\}`)
)

// dropGates makes a mutant of every gate of every list in a file of the arbiter: "gate disrupting/budget" holds nothing.
func dropGates(source string) (mutated string, names []string) {
	mutated = listOfGates.ReplaceAllStringFunc(source, func(list string) string {
		of := listOfGates.FindStringSubmatch(list)[1]
		return gate.ReplaceAllStringFunc(list, func(line string) string {
			parts := gate.FindStringSubmatch(line)
			name := "gate " + of + "/" + parts[1]
			names = append(names, name)
			return fmt.Sprintf("\t\t{%q, mutant(%q, %s)}", parts[1], name, parts[2])
		})
	})
	return mutated, names
}

// gateMutant is added to the arbiter: a gate that is the chosen mutant lets everything through.
var gateMutant = strings.TrimLeft(`
package arbiter

import (
	"github.com/poolkeeper/poolkeeper/cluster"
	"github.com/poolkeeper/poolkeeper/plan"
	"github.com/poolkeeper/poolkeeper/test/mutants/chosen"
)

func mutant(name string, rule func(*pass, plan.Proposal, *cluster.Pool) *verdict) func(*pass, plan.Proposal, *cluster.Pool) *verdict {
	if chosen.Is(name) {
		return func(*pass, plan.Proposal, *cluster.Pool) *verdict { return nil }
	}
	return rule
}
`, "\n")
