// Package soak measures the daemon on large clusters of kwok nodes, as a process on a real control plane: how soon it is ready and how much memory it takes when it starts
// (`make start-large`), and whether anything grows while a cluster churns for a long time (`make soak`). By itself it plays a small form of the first.
package soak
