//go:build race

package agreement

// enough is how many verdicts CI compares with the race detector on, which makes each ten times as slow: the full number is compared without.
const enough = 100_000
