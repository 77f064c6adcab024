package plan

import (
	"fmt"
	"strings"
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
		return fmt.Sprintf("evicts %s from %s: %s", countOf(len(s.Pods), "pod"), s.Node, someOf(s.Pods))
	case DeleteInstance:
		return "deletes the instance of " + s.Node.String()
	case ReplaceInstance:
		return "has the instance of " + s.Node.String() + " replaced"
	case DeleteNode:
		return "deletes the Node object " + s.Node.String()
	}
	return string(s.Do) + " " + s.Pool + " " + s.Node.String()
}

func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// someOf names the first pods and counts the rest: "default/a, default/b and 7 more".
func someOf(pods []PodRef) string {
	names := make([]string, 0, podsShown)
	for _, pod := range pods[:min(len(pods), podsShown)] {
		names = append(names, pod.String())
	}
	text := strings.Join(names, ", ")
	if more := len(pods) - podsShown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
