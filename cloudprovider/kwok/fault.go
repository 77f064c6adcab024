package kwok

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// FaultAnnotation holds faults, separated by commas, on the ConfigMap of a pool, or on the one of the whole cloud (see [ConfigMapName]):
//
//	kubectl annotate configmap poolkeeper-kwok-front poolkeeper.io/fault=outOfStock,bad=front-3
const FaultAnnotation = "poolkeeper.io/fault"

// Fault is something that goes wrong at the fake cloud, for as long as it is set, written as its name or as name=argument:
//
//	outOfStock                  the pool can't grow: the call is refused
//	outOfStock=late             the call is accepted, and the instances fail with an error instead of booting
//	outOfStock=type             as outOfStock, and the error says that it is so for the instance type in its zone
//	quota, quota=late           the same, for the account's quota
//	error, error=<class>        every change of the pool (of the cloud: every call, also Refresh) fails with that class of error, Other by default
//	pending                     a bigger target is accepted, and no instances are made for it
//	slow=<duration>             instances made while it is set take that much longer to boot
//	neverRegister               instances made while it is set run, but never become nodes
//	neverRegister=<instance>    that instance doesn't become a node
//	rebootDoesNotHelp           a reboot is done, and nothing is better afterwards
//	rebootDoesNotHelp=<instance>
//	vanish=<instance>           the instance is gone, without anybody having deleted it, for good
//	stop=<instance>             the instance is switched off
//	bad=<instance>              the cloud thinks ill of the instance
//	take=<instance>@<time>      the cloud gives notice that it will take the instance then, a time such as 2026-01-02T15:04:05Z; nothing more happens to it
//	drift=<instance>            the instance is no longer what the pool makes
type Fault string

// faults are the faults of one pool, or of the cloud, taken apart.
type faults struct {
	// refuse is the error of every call that would grow the pool.
	refuse *failure
	// scoped says that the error tells of the zone and the instance type.
	scoped bool
	// late is the error of instances that are made.
	late *failure
	// broken is the class of the error of every change.
	broken cloudprovider.Class
	// pending makes no instances.
	pending bool
	// slow is added to the boot delay.
	slow time.Duration
	// Those below name instances; "" stands for all of them.
	neverRegister, unhelpfulReboot, vanish, stop, bad, drift []string
	// takes are the times at which instances will be taken.
	takes map[string]time.Time
}

// failure is why an instance could not be made.
type failure struct {
	Class   cloudprovider.Class `json:"class"`
	Code    string              `json:"code"`
	Message string              `json:"message"`
}

var classes = []cloudprovider.Class{
	cloudprovider.ClassOutOfResources, cloudprovider.ClassQuota, cloudprovider.ClassTransient, cloudprovider.ClassNotFound,
	cloudprovider.ClassUnauthorized, cloudprovider.ClassInvalid, cloudprovider.ClassLimit, cloudprovider.ClassNotImplemented, cloudprovider.ClassOther,
}

// parseAnnotation takes the annotation's value apart.
func parseAnnotation(value string) []Fault {
	var list []Fault
	for part := range strings.SplitSeq(value, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, Fault(part))
		}
	}
	return list
}

// parseFaults takes a list of faults apart. Its errors name the fault and the remedy, but not where it stands.
func parseFaults(list []Fault) (faults, error) {
	var f faults
	for _, fault := range list {
		if err := f.add(fault); err != nil {
			return faults{}, err
		}
	}
	return f, nil
}

func (f *faults) add(fault Fault) error {
	name, argument, _ := strings.Cut(string(fault), "=")
	switch name {
	case "outOfStock":
		return f.addRefusal(fault, argument, failure{cloudprovider.ClassOutOfResources, "outOfStock", "the fault outOfStock is set"})
	case "quota":
		return f.addRefusal(fault, argument, failure{cloudprovider.ClassQuota, "quota", "the fault quota is set"})
	case "error":
		return f.addBroken(fault, argument)
	case "pending":
		f.pending = true
		return f.noArgument(fault, argument)
	case "slow":
		delay, err := time.ParseDuration(argument)
		if err != nil || delay < 0 {
			return fmt.Errorf("fault %q: %q is not a duration; write it like slow=2m", fault, argument)
		}
		f.slow = delay
	case "neverRegister":
		f.neverRegister = append(f.neverRegister, argument)
	case "rebootDoesNotHelp":
		f.unhelpfulReboot = append(f.unhelpfulReboot, argument)
	case "vanish":
		f.vanish = append(f.vanish, argument)
		return f.needsInstance(fault, argument)
	case "stop":
		f.stop = append(f.stop, argument)
		return f.needsInstance(fault, argument)
	case "bad":
		f.bad = append(f.bad, argument)
		return f.needsInstance(fault, argument)
	case "take":
		instance, text, _ := strings.Cut(argument, "@")
		at, err := time.Parse(time.RFC3339, text)
		if err != nil || instance == "" {
			return fmt.Errorf("fault %q: write it like take=front-3@2026-01-02T15:04:05Z", fault)
		}
		if f.takes == nil {
			f.takes = map[string]time.Time{}
		}
		f.takes[instance] = at
	case "drift":
		f.drift = append(f.drift, argument)
		return f.needsInstance(fault, argument)
	default:
		return fmt.Errorf("fault %q is not known; the known ones are outOfStock, quota, error, pending, slow, neverRegister, rebootDoesNotHelp, vanish, stop, bad, drift, take", fault)
	}
	return nil
}

func (f *faults) addRefusal(fault Fault, argument string, why failure) error {
	switch argument {
	case "":
		f.refuse = &why
	case "late":
		f.late = &why
	case "type":
		f.refuse, f.scoped = &why, true
	default:
		return fmt.Errorf("fault %q: %q is not known here; write %s or %s=late", fault, argument, why.Code, why.Code)
	}
	return nil
}

func (f *faults) addBroken(fault Fault, argument string) error {
	f.broken = cloudprovider.ClassOther
	if argument == "" {
		return nil
	}
	f.broken = cloudprovider.Class(argument)
	if !slices.Contains(classes, f.broken) {
		return fmt.Errorf("fault %q: %q is not a class of errors; they are %v", fault, argument, classes)
	}
	return nil
}

func (f *faults) noArgument(fault Fault, argument string) error {
	if argument != "" {
		return fmt.Errorf("fault %q takes no argument; leave out %q", fault, "="+argument)
	}
	return nil
}

func (f *faults) needsInstance(fault Fault, argument string) error {
	if argument == "" {
		return fmt.Errorf("fault %q needs the name of an instance; write it like vanish=front-3", fault)
	}
	return nil
}

// names tells whether the list names the instance, or all of them.
func names(list []string, instance string) bool {
	return slices.Contains(list, "") || slices.Contains(list, instance)
}
