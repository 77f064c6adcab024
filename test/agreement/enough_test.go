//go:build !race

package agreement

// enough is how many verdicts CI compares.
const enough = 3_000_000
