package run

import (
	"context"
	"time"

	"brs-exec.example/brs-exec/refresh/control"
)

// controlAfter is how long a run lasts before it can be asked what it does: most commands
// that end sooner would only lose time by it.
const controlAfter = time.Second

// serveControl answers those who ask what this run holds, or for a refresh. It costs a short
// command nothing.
func (r *running) serveControl(o Options, d *deliveries) Part {
	c := control.Options{Dir: d.files.Open, Status: r.record.status, Refresh: r.engine.refreshNow}
	run := control.NewServer(c).Run
	if o.serveControl != nil {
		run = o.serveControl(c)
	}
	return Part{Name: "the control socket", Run: func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(controlAfter):
		}
		return run(ctx)
	}}
}

// refreshNow retrieves and delivers now.
func (e *engine) refreshNow(ctx context.Context, names []string) error {
	return e.current.Load().Refresh(ctx, names)
}
