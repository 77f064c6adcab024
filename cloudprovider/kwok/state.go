package kwok

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// state is what the cloud knows of one pool: the content of its ConfigMap.
type state struct {
	head
	// Instances are ordered by their numbers. One that is gone stays until its Node has been cleaned up.
	Instances []instance `json:"-"`
}

// head is the part that a person may want to edit.
type head struct {
	// Target is the size that the pool should have.
	Target int `json:"target"`
	// Next is the number of the next instance. No number is used twice, so that no name ever means two machines.
	Next int `json:"next"`
	// Version is the version of new instances.
	Version string `json:"version"`
	// Configured is the configured version when Version was last taken from there. When the two differ, the configuration has changed since, and wins.
	Configured string `json:"configured"`
	// Upgrade is a native upgrade that is under way.
	Upgrade *upgrade `json:"upgrade,omitempty"`
	// Tokens are the newest tokens of size changes, oldest first.
	Tokens []token `json:"tokens,omitempty"`
}

// upgrade is a native upgrade: the instances that are older are replaced one by one.
type upgrade struct {
	Version string `json:"version"`
	// Next is when the next instance is replaced.
	Next time.Time `json:"next"`
}

// token is a size change that must not be done twice.
type token struct {
	Token string `json:"token"`
	Delta int    `json:"delta"`
}

// maxTokens is how many tokens are remembered; a caller repeats the last one, not the hundredth last.
const maxTokens = 100

// instance is one machine.
type instance struct {
	Number  int       `json:"n"`
	Created time.Time `json:"created"`
	// Up is when the boot ends.
	Up      time.Time `json:"up"`
	Version string    `json:"version"`
	Zone    string    `json:"zone,omitempty"`
	// NeverRegisters is set for one that was made under that fault.
	NeverRegisters bool `json:"neverRegisters,omitempty"`
	// Failed is why it could not be made.
	Failed *failure `json:"failed,omitempty"`
	// Node is the UID of the Node that it registered.
	Node types.UID `json:"node,omitempty"`
	// Rebooted is when its last reboot takes effect, and Helped whether it makes it well.
	Rebooted time.Time `json:"rebooted,omitzero"`
	Helped   bool      `json:"helped,omitempty"`
	// Stopped is when it is switched off: the moment at which it was asked for, and the pool's StopDelay.
	Stopped time.Time `json:"stopped,omitzero"`
	// Deleted is when its deletion was asked for, and Gone when it is done.
	Deleted time.Time `json:"deleted,omitzero"`
	Gone    time.Time `json:"gone,omitzero"`
	// Vanished is when it disappeared without anybody having deleted it.
	Vanished time.Time `json:"vanished,omitzero"`
}

// counts tells whether the instance counts towards the target.
func (i *instance) counts() bool { return i.Deleted.IsZero() && i.Vanished.IsZero() }

// exists tells whether the cloud still has the instance at that moment.
func (i *instance) exists(now time.Time) bool {
	return i.Vanished.IsZero() && (i.Deleted.IsZero() || now.Before(i.Gone))
}

// status is where the instance is in its life at that moment; it exists then.
func (i *instance) status(name string, f faults, now time.Time) cloudprovider.InstanceStatus {
	switch {
	case !i.Deleted.IsZero():
		return cloudprovider.InstanceStatus{State: cloudprovider.InstanceDeleting}
	case i.Failed != nil:
		return cloudprovider.InstanceStatus{State: cloudprovider.InstanceCreating, ErrorInfo: &cloudprovider.InstanceErrorInfo{
			ErrorClass: i.Failed.Class, ErrorCode: i.Failed.Code, ErrorMessage: i.Failed.Message,
		}}
	case i.off(name, f, now):
		return cloudprovider.InstanceStatus{State: cloudprovider.InstanceStopped}
	case now.Before(i.Up):
		return cloudprovider.InstanceStatus{State: cloudprovider.InstanceCreating}
	}
	return cloudprovider.InstanceStatus{State: cloudprovider.InstanceRunning}
}

// off tells whether the instance is switched off at that moment.
func (i *instance) off(name string, f faults, now time.Time) bool {
	return !i.Stopped.IsZero() && !now.Before(i.Stopped) || slices.Contains(f.stop, name)
}

// find is the instance with that number, or nil.
func (s *state) find(number int) *instance {
	at, found := slices.BinarySearchFunc(s.Instances, number, func(i instance, n int) int { return i.Number - n })
	if !found {
		return nil
	}
	return &s.Instances[at]
}

// size counts the instances that count towards the target.
func (s *state) size() int {
	size := 0
	for i := range s.Instances {
		if s.Instances[i].counts() {
			size++
		}
	}
	return size
}

// moments are when something happens by itself; some of them may be over.
func (s *state) moments() []time.Time {
	var all []time.Time
	if s.Upgrade != nil {
		all = append(all, s.Upgrade.Next)
	}
	for _, one := range s.Instances {
		all = append(all, one.Up, one.Gone, one.Rebooted, one.Stopped)
	}
	return all
}

// instanceName is the name of the instance with that number, and of its Node.
func instanceName(pool string, number int) string { return pool + "-" + strconv.Itoa(number) }

// ProviderIDPrefix begins the provider IDs of this cloud.
const ProviderIDPrefix = "kwok://"

// ProviderID is the provider ID of the instance of that name in the pool.
func ProviderID(pool, instance string) string { return ProviderIDPrefix + pool + "/" + instance }

// parseProviderID takes a provider ID apart; ok is false for one that this cloud never gave out.
func parseProviderID(id string) (pool string, number int, ok bool) {
	rest, ours := strings.CutPrefix(id, ProviderIDPrefix)
	pool, name, whole := strings.Cut(rest, "/")
	digits, of := strings.CutPrefix(name, pool+"-")
	number, err := strconv.Atoi(digits)
	if !ours || !whole || !of || pool == "" || err != nil || number < 1 || strconv.Itoa(number) != digits {
		return "", 0, false
	}
	return pool, number, true
}

// The keys in a pool's ConfigMap.
const (
	headKey      = "pool"
	instancesKey = "instances"
)

// encode writes the state down: the head as YAML for people, the instances as JSON with one of them on each line.
func (s *state) encode() (map[string]string, error) {
	top, err := yaml.Marshal(s.head)
	if err != nil {
		return nil, err
	}
	var lines bytes.Buffer
	for i := range s.Instances {
		line, err := json.Marshal(&s.Instances[i])
		if err != nil {
			return nil, err
		}
		lines.Write(line)
		lines.WriteByte('\n')
	}
	return map[string]string{headKey: string(top), instancesKey: lines.String()}, nil
}

// decode reads what encode wrote, perhaps edited by a person since. Its errors name the key, and the line where there is one.
func decode(data map[string]string) (*state, error) {
	s := &state{}
	if err := yaml.UnmarshalStrict([]byte(data[headKey]), &s.head); err != nil {
		return nil, fmt.Errorf("key %q: %w", headKey, err)
	}
	if s.Target < 0 || s.Target > maxInstances {
		return nil, fmt.Errorf("key %q: target: %d is not between 0 and %d", headKey, s.Target, maxInstances)
	}
	if err := checkVersion(s.Version); err != nil {
		return nil, fmt.Errorf("key %q: version: %w", headKey, err)
	}
	line := 0
	for text := range strings.Lines(data[instancesKey]) {
		line++
		if strings.TrimSpace(text) == "" {
			continue
		}
		var one instance
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&one); err != nil {
			return nil, fmt.Errorf("key %q, line %d: %w", instancesKey, line, err)
		}
		if count := len(s.Instances); count > 0 && s.Instances[count-1].Number >= one.Number {
			return nil, fmt.Errorf("key %q, line %d: instance number %d does not come after %d; each number is there once, in rising order",
				instancesKey, line, one.Number, s.Instances[count-1].Number)
		}
		s.Instances = append(s.Instances, one)
		s.Next = max(s.Next, one.Number+1)
	}
	s.Next = max(s.Next, 1)
	return s, nil
}
