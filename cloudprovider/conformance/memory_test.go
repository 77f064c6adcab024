package conformance

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/poolkeeper/poolkeeper/cloudprovider"
)

// lab is a correct cloud in memory, unless something about it is broken.
type lab struct {
	mutex  sync.Mutex
	broken string // which breakage it has, of those in the table
	order  []string
	pools  map[string]*labPool
	next   int
	reads  int
	away   bool
	fails  cloudprovider.Class
	holds  bool
	loses  bool   // the answer of the next write
	hidden string // an ID that lists leave out
	cut    bool   // lists break off
	denial error  // of every request
	halted bool   // jobs on the front are to be left alone
	lives  int    // of the daemon
	meet   rendezvous
}

type labPool struct {
	least, most, target int
	machines            []machine
	version             string
	upgrade             string
	tokens              map[string]bool
}

type machine struct {
	id, version    string
	running, going bool
	stopped        bool
	failed         cloudprovider.Class
}

var errAway = &cloudprovider.Error{Class: cloudprovider.ClassTransient, Err: errors.New("the cloud is away")}

func newLab(broken string) *lab {
	l := &lab{broken: broken, pools: map[string]*labPool{}, order: []string{"front", "back"}, meet: newRendezvous()}
	for _, name := range l.order {
		l.pools[name] = &labPool{least: 1, most: 6, target: 3, version: "v1.35.4", tokens: map[string]bool{}}
		l.fill(name)
	}
	return l
}

// is tells whether the lab has that breakage.
func (l *lab) is(breakage string) bool { return l.broken == breakage }

func (l *lab) pool(name string) *labPool { return l.pools[name] }

// find is the machine with that ID, or nil.
func (g *labPool) find(id string) *machine {
	at := slices.IndexFunc(g.machines, func(m machine) bool { return m.id == id })
	if at < 0 {
		return nil
	}
	return &g.machines[at]
}

// size counts the machines that stay.
func (g *labPool) size() int {
	size := 0
	for _, m := range g.machines {
		if !m.going {
			size++
		}
	}
	return size
}

// fill makes the machines that are missing.
func (l *lab) fill(name string) {
	g := l.pool(name)
	for ; !l.holds && g.size() < g.target; l.next++ {
		id := fmt.Sprintf("lab://%s/%d", name, l.next)
		if l.is("both groups have the same IDs") {
			id = fmt.Sprintf("lab://front/%d", g.size())
		}
		g.machines = append(g.machines, machine{id: id, version: g.version, failed: l.failure()})
	}
}

func (l *lab) failure() cloudprovider.Class {
	if l.fails != "" && l.is("every failure is out of resources") {
		return cloudprovider.ClassOutOfResources
	}
	return l.fails
}

// was tells whether the ID was ever given out.
func (l *lab) was(pool, id string) bool {
	var number int
	_, err := fmt.Sscanf(id, "lab://"+pool+"/%d", &number)
	return err == nil && number < l.next
}

// settle lets everything come to its end.
func (l *lab) settle() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, name := range l.order {
		g := l.pool(name)
		g.machines = slices.DeleteFunc(g.machines, func(m machine) bool { return m.going })
		for i := range g.machines {
			m := &g.machines[i]
			if !m.running && l.is("an instance changes its ID when it runs") {
				m.id += "0"
			}
			m.running = m.failed == ""
		}
		l.roll(g)
		l.fill(name)
	}
}

// roll replaces the next machine of a native upgrade.
func (l *lab) roll(g *labPool) {
	old := func(m machine) bool { return g.upgrade != "" && m.version != g.upgrade }
	if l.is("a native upgrade leaves the last one out") && len(slices.DeleteFunc(slices.Clone(g.machines), func(m machine) bool { return !old(m) })) == 1 {
		return
	}
	if at := slices.IndexFunc(g.machines, old); at >= 0 {
		g.machines[at].going = true
	}
}

func (l *lab) vanish(id string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, name := range l.order {
		g := l.pool(name)
		g.machines = slices.DeleteFunc(g.machines, func(m machine) bool { return m.id == id })
		l.fill(name)
	}
}

// fixture is the lab with a provider on it.
func (l *lab) fixture() Fixture {
	return Fixture{
		Provider: l.connect(), Group: "front", Other: "back", Settle: l.settle, Reconnect: l.connect, Vanish: l.vanish,
		Reads:        func() int { l.mutex.Lock(); defer l.mutex.Unlock(); return l.reads },
		Break:        func(broken bool) { l.set(func() { l.away = broken }) },
		FailCreation: func(class cloudprovider.Class) { l.set(func() { l.fails = class }) },
		Withhold:     func() { l.set(func() { l.holds = true }) },
		Lose:         func() { l.set(func() { l.loses = true }) },
		Hide:         func(id string) { l.set(func() { l.hidden = id }) },
		Cut:          func(cut bool) { l.set(func() { l.cut = cut }) },
		Refuse:       l.refuse,
		Options:      map[string]*cloudprovider.Options{"front": frontOptions()},
		Hold: func() []cloudprovider.Job {
			l.set(func() { l.halted = true })
			return []cloudprovider.Job{cloudprovider.Autoheal}
		},
	}
}

func frontOptions() *cloudprovider.Options {
	return &cloudprovider.Options{ScaleDownUnneededTime: new(5 * time.Minute)}
}

func (l *lab) refuse(class cloudprovider.Class, retryAfter time.Duration) {
	denial := &cloudprovider.Error{Class: class, RetryAfter: retryAfter, Err: errors.New("refused")}
	if l.is("how long to leave the cloud alone is not told") {
		denial.RetryAfter = 0
	}
	if l.is("refused credentials look like a cloud that is away") {
		denial.Class = cloudprovider.ClassTransient
	}
	l.set(func() { l.denial = denial })
}

func (l *lab) set(change func()) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	change()
}

func (l *lab) connect() cloudprovider.CloudProvider {
	l.set(func() {
		l.lives++
		for _, g := range l.pools {
			if l.lives > 1 && l.is("what is under way dies with the daemon") {
				g.machines = slices.DeleteFunc(g.machines, func(m machine) bool { return !m.running })
				g.target = g.size()
			}
		}
	})
	return &labProvider{lab: l, life: l.lives, seen: map[string]labPool{}, tokens: map[string]bool{}}
}

// rendezvous is where two callers wait for each other.
type rendezvous struct {
	first  chan struct{}
	second chan struct{}
	once   *sync.Once
}

func newRendezvous() rendezvous {
	return rendezvous{make(chan struct{}, 1), make(chan struct{}), &sync.Once{}}
}

// wait returns once a second caller has come; those after the second don't wait.
func (r rendezvous) wait() {
	select {
	case r.first <- struct{}{}:
	default:
		r.once.Do(func() { close(r.second) })
	}
	<-r.second
}
