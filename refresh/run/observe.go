package run

import (
	"brs-exec/refresh"
	"brs-exec/supervisor"
)

// Observer follows what happens. The order of the observers is of no importance to
// any of them, and one that panics keeps no other from an event. Either function may
// be nil.
type Observer struct {
	Name string // for people: what there is not if it panics

	// Engine is called in the engine's goroutine. first tells whether this is before
	// the first credentials are delivered, or about them.
	Engine func(e refresh.Event, first bool)

	// Child is called in the supervisor's goroutine. first tells whether this is
	// before the first start of the command, or about it.
	Child func(e supervisor.Event, first bool)
}

// observers are told of all events.
type observers struct {
	guard     *guard
	list      []Observer // set before the first event
	delivered bool       // the first credentials; of the engine's goroutine
	started   bool       // the command; of the supervisor's goroutine
}

func (o *observers) engine(e refresh.Event) {
	first := !o.delivered
	o.delivered = o.delivered || e.Kind == refresh.Refreshed
	for _, who := range o.list {
		if who.Engine != nil {
			o.guard.do(who.Name, func() { who.Engine(e, first) })
		}
	}
}

func (o *observers) child(e supervisor.Event) {
	first := !o.started
	o.started = o.started || e.Kind == supervisor.Started
	for _, who := range o.list {
		if who.Child != nil {
			o.guard.do(who.Name, func() { who.Child(e, first) })
		}
	}
}
