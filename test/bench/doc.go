// Package bench measures what grows with the cluster. Run it with go test -bench . ./test/bench.
package bench
