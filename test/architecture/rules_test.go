// Package architecture_test holds the house to its plan: which package may know of which (docs/architecture.md draws it).
//
// Only what a package is built from counts, not what its tests import. Rules about our own packages hold transitively, those about
// others' packages for direct imports. Packages that a rule names need not exist yet.
package architecture_test

// A pattern is the path of a package below the module, or of somebody else's package: "plan" is that package alone, "test/..." is test and
// everything below it.
type pattern = string

var (
	// The vocabulary: what all others speak.
	vocabulary = []pattern{"plan", "plan/reason", "ledger", "cluster", "cluster/dump", "scheduling/...", "cloudprovider", "window", "drain", "preflight"}

	deciders = []pattern{"autoscaler/...", "healer/...", "upgrader/..."}

	// Pure packages are functions of values: no clients, clocks, logs or metrics, no goroutines.
	pure = []pattern{
		"plan", "plan/reason", "ledger", "cluster", "cluster/dump", "window", "drain", "preflight",
		"autoscaler/...", "healer/...", "upgrader/...", "arbiter/...", "explain/...",
	}

	// What stands above the deciders, or beside them with effects: nothing below may know of it.
	above = []pattern{"arbiter/...", "actuator/...", "explain/...", "report/...", "dashboard/...", "config/...", "app/...", "simulation/...", "cmd/...", "test/..."}

	// What reads and writes the API and the clouds.
	doors = []pattern{
		"ledger/store", "cluster/watch", "cluster/api", "access", "alerts", "expander/...",
		"cloudprovider/kwok/...", "cloudprovider/externalgrpc/...", "cloudprovider/scaleway/...", "cloudprovider/clusterapi/...",
	}

	// Those that wire the rest together.
	everybody = []pattern{"app/...", "cmd/...", "simulation/...", "test/..."}
)

// An importRule is a line of the plan. Exactly one of "ours" (transitive) and "others" (direct) is given.
type importRule struct {
	why    string
	of     []pattern // the packages that the rule is about
	except []pattern // of those, the ones that it is not about
	ours   []pattern // packages of the module that they must not reach
	others []pattern // packages of others that they must not import
}

var importRules = []importRule{
	{
		why:  "the vocabulary knows nothing of the deciders, nor of what stands above them",
		of:   vocabulary,
		ours: join(deciders, above, doors),
	},
	{
		why:  "deciders get a snapshot and give proposals: they know neither the arbiter, nor what acts, reports or wires, nor the doors to API and cloud",
		of:   deciders,
		ours: join(above, doors),
	},
	{
		why:  "deciders don't know each other: the arbiter weighs what each would like",
		of:   []pattern{"autoscaler/..."},
		ours: []pattern{"healer/...", "upgrader/..."},
	},
	{
		why:  "deciders don't know each other: the arbiter weighs what each would like",
		of:   []pattern{"healer/..."},
		ours: []pattern{"autoscaler/...", "upgrader/..."},
	},
	{
		why:  "deciders don't know each other: the arbiter weighs what each would like",
		of:   []pattern{"upgrader/..."},
		ours: []pattern{"autoscaler/...", "healer/..."},
	},
	{
		why:  "the arbiter sees proposals, not who made them, and acts on nothing itself",
		of:   []pattern{"arbiter/..."},
		ours: join(deciders, doors, []pattern{"actuator/...", "report/...", "dashboard/...", "config/...", "app/...", "simulation/...", "cmd/...", "test/..."}),
	},
	{
		why:  "whoever touches API or cloud does as it is told: it knows neither deciders nor arbiter, and nothing of the wiring",
		of:   join(doors, []pattern{"cloudprovider/...", "actuator/...", "report/...", "dashboard/..."}),
		ours: join(deciders, everybody, []pattern{"arbiter/..."}),
	},
	{
		why: "only the wiring knows everybody",
		of:  []pattern{"..."},
		except: join(everybody, deciders, []pattern{
			"arbiter/...",
			"config/...", // it turns flags into the options of those who decide, whose defaults and checks stay with them
		}),
		ours: join(deciders, []pattern{"arbiter/...", "app/..."}),
	},
	{
		why:  "config gives options and starts nothing: it knows of the deciders' and the arbiter's options, not of what wires, acts or reports",
		of:   []pattern{"config/..."},
		ours: join(everybody, doors, []pattern{"actuator/...", "report/...", "dashboard/..."}),
	},
	{
		why:    "what is built for production does not stand on tests",
		of:     []pattern{"..."},
		except: []pattern{"test/..."},
		ours:   []pattern{"test/..."},
	},
	{
		why: "pure packages have no clients, clocks, logs or metrics",
		of:  pure,
		others: []pattern{
			"k8s.io/client-go/...", "k8s.io/klog/...", "k8s.io/utils/clock/...", "k8s.io/component-base/...",
			"github.com/prometheus/...", "log/...", "os/...", "net/http/...",
		},
	},
	{
		why: "only what is named here has effects: it alone talks to an API server, a cloud, the network or other programs",
		of:  []pattern{"..."},
		except: join(everybody, doors, []pattern{
			"actuator/...", "report/...", "dashboard/...", "cloudprovider/...",
			"scheduling/...", // the scheduler's plugins ask for a clientset, and get one that reads the snapshot
		}),
		others: []pattern{
			"k8s.io/client-go/kubernetes/...", "k8s.io/client-go/dynamic/...", "k8s.io/client-go/rest/...", "k8s.io/client-go/informers/...",
			"net/http/...", "os/exec", "google.golang.org/grpc/...",
		},
	},
}

// noClock are the functions of package time that reach for the clock, or wait for it.
var noClock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// emptyNames say nothing about what a folder holds.
var emptyNames = []string{"util", "utils", "helper", "helpers", "common", "manager", "managers", "misc", "lib", "pkg", "internal"}

func join(lists ...[]pattern) []pattern {
	var all []pattern
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}
