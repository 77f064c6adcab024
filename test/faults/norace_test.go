//go:build !race

package faults

// daysInCI is how many days CI lives.
const daysInCI = 100
