package run

import (
	"context"
	"time"

	"brs-exec/refresh/control"
)

// controlAfter is how long a run may wait for its first credentials before it can be asked
// what it does. Most of them have started their command by then.
const controlAfter = time.Second

// serveControl answers those who ask what this run holds, or for a refresh. It costs the
// start of the command nothing.
func (r *running) serveControl(o Options, d *deliveries, started <-chan struct{}) Part {
	c := control.Options{Dir: d.files.Open, Status: r.record.status, Refresh: r.engine.refreshNow}
	run := control.NewServer(c).Run
	if o.serveControl != nil {
		run = o.serveControl(c)
	}
	return Part{Name: "the control socket", Run: func(ctx context.Context) error {
		late := time.NewTimer(controlAfter)
		defer late.Stop()
		select {
		case <-ctx.Done():
			return nil
		case <-started:
		case <-late.C:
		}
		return run(ctx)
	}}
}

// refreshNow retrieves and delivers now.
func (e *engine) refreshNow(ctx context.Context, names []string) error {
	return e.current.Load().Refresh(ctx, names)
}
