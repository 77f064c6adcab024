// Package agreement compares the two ways in which package scheduling answers: its own fast path, and the kube-scheduler's Filter plugins.
// For every pod and node of very many small random clusters, and after random changes of them, both must give the same verdict by the same
// plugin in the same words.
//
// A case is a cluster and a script of changes; it follows from a seed and a number alone. The tests count which odd corners the cases
// reached and how the verdicts fell there, and fail when a corner was never met: a comparison that never came to a corner proves nothing
// about it.
//
// Environment variables, for runs by hand:
//
//	VERDICTS=100000000   how many pod–node verdicts to compare, instead of what CI does
//	SEED=7               the seed; without it a run by hand takes one of its own, and CI always the same
//	CASE=1234            this case of the seed alone, with its clusters and answers printed
package agreement
