//go:build race

package faults

// daysInCI is how many days CI lives with the race detector on, which makes a day many times as long; the others are lived without it.
const daysInCI = 8
