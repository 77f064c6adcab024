// Command mutants shows that the checks bite. It takes away one safeguard at a time, a gate of the arbiter, a write before its effect, a look before a deed,
// and lives through random days and scenarios until something notices.
//
// The mutants are made from the sources as they are, by an overlay of go build: nothing in the daemon knows of them. One build has all of them, and
// is told at run time which it is to be. A safeguard that nothing misses is either explained here, or superfluous.
package main
