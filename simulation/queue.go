package simulation

import (
	"container/heap"
	"time"
)

// queue holds what is going to happen. Moments are durations since the world's beginning. Of two events of one moment the seed says which
// comes first.
type queue struct {
	items items
	ties  *dice
	order uint64
}

// item is one event to come.
type item struct {
	at       time.Duration
	who      string
	tie      uint64
	order    uint64
	run      func()
	needsAPI bool
	gone     bool
}

// add lets run happen at that moment. Who says whose event it is; the order of two at one moment depends on that.
func (q *queue) add(at time.Duration, who string, needsAPI bool, run func()) *item {
	q.order++
	it := &item{at: at, who: who, tie: q.ties.draw(who), order: q.order, run: run, needsAPI: needsAPI}
	heap.Push(&q.items, it)
	return it
}

// next takes out the event that comes next; nil if nothing will ever happen again.
func (q *queue) next() *item {
	q.skip()
	if len(q.items) == 0 {
		return nil
	}
	it := heap.Pop(&q.items).(*item)
	it.gone = true
	return it
}

// putBack makes an event that was taken out come later.
func (q *queue) putBack(it *item, at time.Duration) {
	it.at, it.gone = at, false
	heap.Push(&q.items, it)
}

// peek is when the next event comes.
func (q *queue) peek() (time.Duration, bool) {
	q.skip()
	if len(q.items) == 0 {
		return 0, false
	}
	return q.items[0].at, true
}

// skip drops the cancelled events at the front.
func (q *queue) skip() {
	for len(q.items) > 0 && q.items[0].gone {
		heap.Pop(&q.items)
	}
}

// cancel makes the event not happen. It may be nil, or over.
func (it *item) cancel() {
	if it != nil {
		it.gone = true
		it.run = nil
	}
}

// waiting tells whether the event is still to come.
func (it *item) waiting() bool { return it != nil && !it.gone }

// items is the heap of package container/heap.
type items []*item

func (h items) Len() int { return len(h) }

func (h items) Less(i, j int) bool {
	switch {
	case h[i].at != h[j].at:
		return h[i].at < h[j].at
	case h[i].tie != h[j].tie:
		return h[i].tie < h[j].tie
	}
	return h[i].order < h[j].order
}

func (h items) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *items) Push(x any) { *h = append(*h, x.(*item)) }

// Pop implements heap.Interface.
func (h *items) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return last
}

// alarm is an event that is wanted at most once at a time: it comes at the earliest of the moments that were asked for.
type alarm struct {
	w        *World
	who      string
	needsAPI bool
	run      func()
	set      *item
}

// within makes the alarm ring after d at the latest.
func (a *alarm) within(d time.Duration) { a.by(a.w.elapsed + d) }

// by makes the alarm ring at that moment at the latest.
func (a *alarm) by(at time.Duration) {
	if a.set.waiting() && a.set.at <= at {
		return
	}
	a.set.cancel()
	a.set = a.w.queue.add(max(at, a.w.elapsed), a.who, a.needsAPI, a.run)
}

func (a *alarm) cancel() { a.set.cancel() }
