package refresh

import (
	"container/heap"
	"slices"
	"time"
)

// queue is a heap of profiles that are due while no worker is free: the most urgent first,
// and of those that are as urgent the one that came first.
type queue []*profile

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].before(q[j]) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push and Pop are there for heap.Interface.
func (q *queue) Push(x any) { *q = append(*q, x.(*profile)) }

// Pop is the counterpart of Push.
func (q *queue) Pop() any {
	last := len(*q) - 1
	p := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return p
}

// without returns the queue without the profiles of which f is true.
func (q queue) without(f func(*profile) bool) queue {
	q = slices.DeleteFunc(q, f)
	heap.Init(&q)
	return q
}

// before reports whether p is to be retrieved before other.
func (p *profile) before(other *profile) bool {
	if !p.urgent.Equal(other.urgent) {
		return p.urgent.Before(other.urgent)
	}
	return p.turn < other.turn
}

// urgency is the moment by which p is needed: the expiry of what is held, and now if
// nothing is, or somebody waits for it.
func (p *profile) urgency() time.Time {
	switch {
	case p.held == nil || len(p.waiting) > 0:
		return time.Time{}
	case p.heldExpiry.IsZero():
		return never
	}
	return p.heldExpiry
}

// wakeups is a heap of all profiles by the time of their next wake-up.
type wakeups []*profile

func newWakeups(ps []*profile) wakeups {
	h := make(wakeups, len(ps))
	for i, p := range ps {
		p.at, p.pos = p.wakeup(), i
		h[i] = p
	}
	heap.Init(&h)
	return h
}

func (h wakeups) Len() int           { return len(h) }
func (h wakeups) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

func (h wakeups) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}

// Push and Pop are there for heap.Interface: with the list the whole heap is made anew.
func (h *wakeups) Push(x any) { *h = append(*h, x.(*profile)) }

// Pop is the counterpart of Push.
func (h *wakeups) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	*h = (*h)[:last]
	return p
}
