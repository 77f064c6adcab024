// Package installation puts Poolkeeper into a real control plane as its chart would, for end-to-end tests: what Helm renders is applied, and the daemon
// runs as a process beside the control plane, with the rights of the chart's ServiceAccount and the arguments of the chart's Deployment.
package installation
