//go:build !race

package faults

// daysInCI is how many days a run of this package lives by itself, such as in make unit; make faults, which CI runs too, lives 300.
const daysInCI = 12
