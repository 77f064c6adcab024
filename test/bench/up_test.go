package bench

// upWorkloads add nodes for pods that wait.
var upWorkloads = []workload{}

// upGrowth are some of them at other sizes.
var upGrowth = []workload{}
