package run

import (
	"context"

	"brs-exec.example/brs-exec/refresh/control"
)

// serveControl answers those who ask what this run holds, or for a refresh.
func (r *running) serveControl(o Options, d *deliveries) Part {
	c := control.Options{Dir: d.files.Open, Status: r.record.status, Refresh: r.engine.refreshNow}
	run := control.NewServer(c).Run
	if o.serveControl != nil {
		run = o.serveControl(c)
	}
	return Part{Name: "the control socket", Run: run, Late: true}
}

// refreshNow retrieves and delivers now.
func (e *engine) refreshNow(ctx context.Context, names []string) error {
	return e.current.Load().Refresh(ctx, names)
}
