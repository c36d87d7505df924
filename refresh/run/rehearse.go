package run

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/rehearsal"
)

// Rehearsal has the deliveries hand out local credentials that expire after Life, as long as
// there are real ones for the signing listener. The listener tells the Record of each request.
type Rehearsal struct {
	Life     time.Duration
	Record   *rehearsal.Record
	Upstream string // URL of what stands for AWS; "" for AWS itself
}

// signer is the listener of a rehearsal: a sign.Server, but for tests.
type signer interface {
	refresh.Delivery // of the real credentials
	Issue(profile string, life time.Duration) aws.Credentials
}

// realGrace is how much longer than the real credentials the local ones are waited for.
const realGrace = 5 * time.Second

// engines are the options of the engine that keeps the local credentials, and the part that
// keeps those of the sources. o is what the engine of a run would be made with.
func (r *Rehearsal) engines(o refresh.Options, s signer, p *parts, log Part) (local refresh.Options, real Part) {
	issuer := rehearsal.NewIssuer(func(profile string) aws.Credentials { return s.Issue(profile, r.Life) })
	local = o
	local.MinTTL, local.Profiles = 0, nil
	local.StartTimeout += realGrace
	for _, of := range o.Profiles {
		local.Profiles = append(local.Profiles, refresh.Profile{Name: of.Name, Source: issuer.Source(of.Name)})
	}
	told := &parts{log: p.log, list: []Part{log, {Name: "the local credentials", Engine: func(e refresh.Event, _ bool) { issuer.Event(e) }}}}
	o.Deliveries, o.Notify = []refresh.Delivery{s}, told.engine
	e := newEngine(o)
	return local, Part{Name: "the refreshing of the real credentials", Run: func(ctx context.Context) error {
		go func() {
			select {
			case <-e.ready():
				issuer.Ready()
			case <-ctx.Done():
			}
		}()
		if err := e.run(ctx, p.keep); err != nil {
			issuer.End(err)
		}
		return nil
	}}
}

// part follows the requests of the command.
func (r *Rehearsal) part() Part {
	if r == nil {
		return Part{}
	}
	return Part{Name: "the record of the rehearsal", notice: func(n notice) {
		if n.kind == requestSigned {
			r.Record.Called(n.request.Time, n.request.Profile, n.request.KeyID, n.request.Refused)
		}
	}}
}

// logLocal leaves out of the log what is so in each rehearsal, and what the log has of the
// real credentials.
func logLocal(log Part) Part {
	all := log.Engine
	log.Engine = func(e refresh.Event, first bool) {
		switch e.Kind {
		case refresh.Short, refresh.Early, refresh.Failed:
		default:
			all(e, first)
		}
	}
	return log
}

// end records how the credentials were read last.
func (r *Rehearsal) end(d *deliveries) {
	reads := d.reads()
	for _, p := range d.profiles.all() {
		for _, by := range slices.Sorted(maps.Keys(reads)) {
			if read := reads[by](p.Name); !read.At.IsZero() {
				r.Record.Read(p.Name, string(by), read.At)
			}
		}
	}
}
