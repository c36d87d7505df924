package refresh

import "container/heap"

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
