module github.com/poolkeeper/poolkeeper/tools/cluster-api

go 1.26.0

// Nothing of it is built: the end-to-end tests read its CustomResourceDefinitions. This is how the Go module proxy gives them, checked and cached.
require sigs.k8s.io/cluster-api v1.14.2
