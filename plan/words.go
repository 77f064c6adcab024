package plan

import (
	"fmt"
	"strings"
	"time"

	"github.com/poolkeeper/poolkeeper/ledger"
)

// podsShown is how many pods a sentence names before it counts the rest.
const podsShown = 5

// String says what the step does, as something that its owner does: "evicts 2 pods from small-1: default/a, default/b".
func (s Step) String() string {
	switch s.Do {
	case Increase:
		text := fmt.Sprintf("pool %s %d→%d", s.Pool, s.From, s.From+s.Delta)
		if s.Message != "" {
			text += ": " + s.Message
		}
		return text
	case Decrease:
		return fmt.Sprintf("pool %s %d→%d: takes back what did not come", s.Pool, s.From, s.From+s.Delta)
	case ChangeVersion:
		return fmt.Sprintf("sets the version of pool %s to %s", s.Pool, s.Version)
	case UpgradePool:
		return fmt.Sprintf("has the provider upgrade pool %s to %s", s.Pool, s.Version)
	case UpgradeMasters:
		return "has the provider upgrade the control plane to " + s.Version
	case SetAside:
		if s.Undo {
			return "no longer sets " + s.Node.String() + " aside"
		}
		return "sets " + s.Node.String() + " aside, since it could not be drained"
	case Mark:
		return "cordons and marks " + s.Node.String()
	case Unmark:
		return "takes its marks from " + s.Node.String()
	case Candidate:
		if s.Undo {
			return "takes the candidate mark from " + s.Node.String()
		}
		return "marks " + s.Node.String() + " as a candidate"
	case Evict:
		if s.Force {
			return fmt.Sprintf("deletes %s of %s past their budgets: %s", countOf(len(s.Pods), "pod"), s.Node, SomeOf(podNames(s.Pods), podsShown))
		}
		return fmt.Sprintf("evicts %s from %s: %s", countOf(len(s.Pods), "pod"), s.Node, SomeOf(podNames(s.Pods), podsShown))
	case DeleteInstance:
		return "deletes the instance of " + s.Node.String()
	case ReplaceInstance:
		return "has the instance of " + s.Node.String() + " replaced"
	case RebootInstance:
		return "reboots the machine of " + s.Node.String()
	case DeleteNode:
		return "deletes the Node object " + s.Node.String()
	case Stop:
		return "has the machine of " + s.Node.String() + " switched off"
	case ConfirmOff:
		return "looks whether the machine of " + s.Node.String() + " is off"
	case OutOfService:
		if s.Undo {
			return "takes the out-of-service taint from " + s.Node.String()
		}
		return "taints " + s.Node.String() + " as out of service, since its machine is off"
	case DeleteAttachments:
		return fmt.Sprintf("deletes %s of %s: %s", countOf(len(s.Attachments), "left-over VolumeAttachment"), s.Node, SomeOf(s.Attachments, podsShown))
	}
	return string(s.Do) + " " + s.Pool + " " + s.Node.String()
}

// Story says of an incident that is over what it was, how long it took to be found, and how it ended: "the incident of small-1 is over after 6m12s:
// Unreachable, found sick after 5m0s (Ready is Unknown, lease stale, instance here); small-4 is there in its place".
func Story(i ledger.Incident) string {
	text := fmt.Sprintf("the incident of %s is over after %s: %s, found sick after %s", i.Node, Seconds(i.Ended.Sub(i.Began)), i.Sign, Seconds(i.Detected.Sub(i.Began)))
	if i.Evidence != "" {
		text += " (" + i.Evidence + ")"
	}
	return text + "; " + HowItEnded(i)
}

// HowItEnded is the outcome of an incident that is over, in words.
func HowItEnded(i ledger.Incident) string {
	switch i.Outcome {
	case ledger.CameBack:
		return "the node is well again by itself"
	case ledger.Restarted:
		return "the node is well again after a reboot"
	case ledger.Renewed:
		if i.Replacement != (ledger.NodeRef{}) {
			return i.Replacement.String() + " is there in its place"
		}
		return "its replacement is there"
	case ledger.Vanished:
		return "its machine is gone, and nothing of ours took it"
	case ledger.LeftAlone:
		return "the node is no longer healed"
	}
	return "it is not over"
}

// Seconds is a time as people say it, without fractions of a second.
func Seconds(d time.Duration) string { return d.Round(time.Second).String() }

func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// SomeOf lists the first names and counts the rest: "a, b and 7 more".
func SomeOf(names []string, shown int) string {
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
}

// Length is a duration as people write it, to the second: 10m, 1h30m, 45s.
func Length(d time.Duration) string {
	text := d.Round(time.Second).String()
	if rest, ok := strings.CutSuffix(text, "m0s"); ok {
		text = rest + "m"
	}
	if rest, ok := strings.CutSuffix(text, "h0m"); ok {
		text = rest + "h"
	}
	return text
}

func podNames(pods []PodRef) []string {
	names := make([]string, 0, len(pods))
	for _, pod := range pods {
		names = append(names, pod.String())
	}
	return names
}
