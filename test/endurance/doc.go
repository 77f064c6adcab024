// Package endurance lives through very many hours of very many simulated nodes, most of which are well: blips that pass by themselves, restarts of the
// daemon, clocks that jump, and now and then a machine that is really dead. What is well has to be kept, and what is dead replaced, once.
package endurance
