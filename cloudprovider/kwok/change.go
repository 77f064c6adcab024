package kwok

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// What happens at the cloud, as functions of its state, the pool's configuration, the faults and the time. They do nothing else.

// begin is the state of a pool that has just been made. First is a number that no Node of the pool has had.
func begin(pool Pool, first int) *state {
	return &state{head: head{
		Target: max(pool.InitialSize, pool.Min), Next: first,
		Version: pool.Template.Version, Configured: pool.Template.Version,
	}}
}

// advance brings the state up to the moment: what happened at the cloud by itself since it was last looked at.
func (s *state) advance(pool Pool, f faults, now time.Time) {
	if s.Configured != pool.Template.Version {
		s.Configured, s.Version = pool.Template.Version, pool.Template.Version
	}
	for i := range s.Instances {
		one := &s.Instances[i]
		if one.exists(now) && slices.Contains(f.vanish, instanceName(pool.Name, one.Number)) {
			one.Vanished = now
		}
	}
	s.upgradeUntil(pool, f, now)
	s.settle(pool, f, now)
}

// upgradeUntil goes on with a native upgrade: one instance after the other is replaced, the oldest first, each when the one before it is up. The moments
// follow from when it began, also for a time in which nobody looked.
func (s *state) upgradeUntil(pool Pool, f faults, now time.Time) {
	if s.Upgrade != nil && s.Upgrade.Version != s.Version {
		s.Upgrade = nil // the pool was given another version meanwhile
	}
	for s.Upgrade != nil && !s.Upgrade.Next.After(now) && !f.stopsCreation() {
		old := slices.IndexFunc(s.Instances, func(i instance) bool { return i.counts() && olderThan(i.Version, s.Upgrade.Version) })
		if old < 0 {
			s.Upgrade = nil
			return
		}
		at := s.Upgrade.Next
		s.Instances[old].end(pool, at)
		s.settle(pool, f, at)
		s.Upgrade.Next = at.Add(pool.StartupDelay + f.slow)
	}
}

// settle makes the instances that are missing, and takes away the youngest where a person has lowered the target by hand.
func (s *state) settle(pool Pool, f faults, now time.Time) {
	size := s.size()
	for i := len(s.Instances) - 1; i >= 0 && size > s.Target; i-- {
		if s.Instances[i].counts() {
			s.Instances[i].end(pool, now)
			size--
		}
	}
	if f.stopsCreation() {
		return
	}
	for ; size < s.Target; size++ {
		s.Instances = append(s.Instances, instance{
			Number: s.Next, Created: now, Up: now.Add(pool.StartupDelay + f.slow),
			Version: s.Version, Zone: pool.Template.Zone,
			NeverRegisters: slices.Contains(f.neverRegister, ""), Failed: f.late,
		})
		s.Next++
	}
}

// stopsCreation tells whether no instances are made while these faults are set.
func (f faults) stopsCreation() bool { return f.pending || f.refuse != nil || f.broken != "" }

// end begins the deletion of the instance.
func (i *instance) end(pool Pool, now time.Time) {
	i.Deleted, i.Gone = now, now.Add(pool.DeleteDelay)
}

// grow raises the target.
func (s *state) grow(pool Pool, f faults, delta int) error {
	switch {
	case delta <= 0:
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, "", "the delta is %d; it must be positive", delta)
	case s.Target+delta > pool.Max:
		return cloudprovider.Errorf(cloudprovider.ClassLimit, "", "the size is %d and the max is %d", s.Target, pool.Max)
	case f.refuse != nil:
		err := cloudprovider.Errorf(f.refuse.Class, "", "%s", f.refuse.Message)
		err.Code = f.refuse.Code
		if f.scoped {
			err.Scope = cloudprovider.Scope{Zone: pool.Template.Zone, InstanceType: pool.Template.InstanceType}
		}
		return err
	}
	s.Target += delta
	return nil
}

// growOnce raises the target, unless it was raised with that token before.
func (s *state) growOnce(pool Pool, f faults, delta int, name string) error {
	if name == "" {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, "", "the token is empty")
	}
	at := slices.IndexFunc(s.Tokens, func(t token) bool { return t.Token == name })
	if at >= 0 && s.Tokens[at].Delta != delta {
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, "", "the token was used for a delta of %d before", s.Tokens[at].Delta)
	}
	if at >= 0 {
		return nil
	}
	if err := s.grow(pool, f, delta); err != nil {
		return err
	}
	s.Tokens = append(s.Tokens, token{name, delta})
	s.Tokens = s.Tokens[max(0, len(s.Tokens)-maxTokens):]
	return nil
}

// takeBack lowers the target where there are no instances for it yet.
func (s *state) takeBack(pool Pool, delta int) error {
	size := s.size()
	switch {
	case delta >= 0:
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, "", "the delta is %d; it must be negative", delta)
	case s.Target+delta < size:
		return cloudprovider.Errorf(cloudprovider.ClassInvalid, "", "the target is %d and %d instances exist; delete those by name", s.Target, size)
	case s.Target+delta < pool.Min:
		return cloudprovider.Errorf(cloudprovider.ClassLimit, "", "the target is %d and the min is %d", s.Target, pool.Min)
	}
	s.Target += delta
	return nil
}

// how says what a deletion does to the size.
type how int

const (
	// shrinking lowers the target, not below the min.
	shrinking how = iota
	// forcing lowers the target, below the min too.
	forcing
	// replacing keeps the target.
	replacing
)

// remove deletes the instances with these numbers. Those that are gone or going already count as done.
func (s *state) remove(pool Pool, numbers []int, h how, now time.Time) error {
	var going []*instance
	for _, number := range numbers {
		if number >= s.Next {
			return cloudprovider.Errorf(cloudprovider.ClassNotFound, "", "there has never been an instance %s", instanceName(pool.Name, number))
		}
		one := s.find(number)
		if one != nil && one.counts() && !slices.Contains(going, one) {
			going = append(going, one)
		}
	}
	if h == shrinking && len(going) > 0 && s.Target-len(going) < pool.Min {
		return cloudprovider.Errorf(cloudprovider.ClassLimit, "", "the target is %d, the min is %d, and %d would go", s.Target, pool.Min, len(going))
	}
	for _, one := range going {
		one.end(pool, now)
	}
	if h != replacing {
		s.Target = max(0, s.Target-len(going))
	}
	return nil
}

// reboot restarts the instance; that also switches on one that was stopped.
func (s *state) reboot(pool Pool, f faults, number int, now time.Time) error {
	one, err := s.present(pool, number, now)
	if err != nil {
		return err
	}
	one.Rebooted = now.Add(pool.RebootDelay)
	one.Helped = !names(f.unhelpfulReboot, instanceName(pool.Name, number))
	one.Stopped = time.Time{}
	if one.Helped {
		one.Node = "" // its kubelet starts anew, and registers if its Node is missing
	}
	return nil
}

// stop switches the instance off; for one that is gone that is done.
func (s *state) stop(pool Pool, number int, now time.Time) error {
	if number >= s.Next {
		_, err := s.present(pool, number, now)
		return err
	}
	one := s.find(number)
	if one != nil && one.exists(now) && one.Stopped.IsZero() {
		one.Stopped = now.Add(pool.StopDelay)
	}
	return nil
}

// present is the instance with that number, if it exists and isn't being deleted.
func (s *state) present(pool Pool, number int, now time.Time) (*instance, error) {
	one := s.find(number)
	if one == nil || !one.exists(now) || !one.counts() {
		return nil, cloudprovider.Errorf(cloudprovider.ClassNotFound, "", "there is no instance %s", instanceName(pool.Name, number))
	}
	return one, nil
}

// olderThan compares versions; one that can't be read is older than everything.
func olderThan(a, b string) bool {
	left, err := version.ParseSemantic(a)
	if err != nil {
		return true
	}
	right, err := version.ParseSemantic(b)
	return err == nil && left.LessThan(right)
}
