module github.com/poolkeeper/poolkeeper/tools/prometheus-operator

go 1.26.0

// Nothing of it is built: the chart's tests apply its CustomResourceDefinitions. This is how the Go module proxy gives them, checked and cached.
require github.com/prometheus-operator/prometheus-operator v0.85.0
