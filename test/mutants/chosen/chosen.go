// Package chosen says which mutant a build with all of them in it is to be. Only the mutated copies of the daemon's sources import it: see package mutants.
package chosen

import "os"

// Variable names the mutant, by its name in the list of `make mutants MUTANTS=list`; without it nothing is mutated.
const Variable = "POOLKEEPER_MUTANT"

var name = os.Getenv(Variable)

// Is tells whether the mutant is the one of that name.
func Is(mutant string) bool { return mutant == name }
