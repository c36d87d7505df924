package run

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/control"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/supervisor"
)

// recorder keeps the record of this run in memory, for those who ask for it by the
// control socket. An event costs the change of one profile.
type recorder struct {
	profiles *profiles
	alive    func(context.Context) error // of the engine

	mu sync.Mutex                  // guards the following
	r  control.Record              // without its profiles
	of map[string]*control.Profile // by name; without what their sources say of themselves
}

func newRecorder(p *plan.Plan, ps *profiles) *recorder {
	k := &recorder{profiles: ps, of: map[string]*control.Profile{}, r: control.Record{
		Version: control.Version, PID: os.Getpid(), Name: nameOf(p), Began: time.Now().Round(0), State: control.Starting,
		Require: p.Require, Deliver: p.Deliver.Name,
	}}
	if p.Keep == nil {
		k.r.Command = filepath.Base(p.Argv[0])
	}
	return k
}

// nameOf is what a run is called: --name, else --lock, else the command with its first
// argument.
func nameOf(p *plan.Plan) string {
	switch {
	case p.Name != "":
		return p.Name
	case p.Lock != "":
		return p.Lock
	case p.Keep != nil:
		return "keep"
	}
	name := filepath.Base(p.Argv[0])
	if len(p.Argv) > 1 {
		if word := publicWord(p.Argv[1]); word != "" {
			return name + " " + word
		}
	}
	return name
}

// publicWord is an argument as it may be shown where the command line is not, "" for one
// that may be a secret: the name of a file that is there, as of a script, and a word such
// as a subcommand have nothing to hide.
func publicWord(arg string) string {
	const letters = "abcdefghijklmnopqrstuvwxyz"
	switch {
	case len(arg) > 100 || strings.HasPrefix(arg, "-") || strings.ContainsAny(arg, "=@:\r\n"):
		return ""
	case len(arg) <= 16 && strings.Trim(arg, letters+"-") == "", len(arg) <= 3 && strings.Trim(arg, letters+"0123456789") == "":
		return arg
	}
	if info, err := os.Stat(arg); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return filepath.Base(arg)
}

// status is the record now, with the profiles in their order.
func (k *recorder) status(ctx context.Context) control.Record {
	list := k.profiles.all()
	sources := make([]string, len(list))
	for i, p := range list {
		sources[i] = p.src.Describe() // which has locks of its own
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	hangs := k.alive(ctx) != nil
	cancel()

	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.r
	r.Hangs = hangs && r.State != control.Ended
	if r.State == control.Running && isStopped(r.Child) {
		r.State = control.Stopped
	}
	r.Profiles = make([]control.Profile, len(list))
	for i, p := range list {
		if known := k.of[p.Name]; known != nil {
			r.Profiles[i] = *known
		}
		r.Profiles[i].Name, r.Profiles[i].Source = p.Name, plan.OneLine(sources[i])
	}
	k.forget(list)
	return r
}

// forget drops what is known of profiles that are kept no longer.
func (k *recorder) forget(list []*profile) {
	if len(k.of) <= len(list) {
		return
	}
	kept := make(map[string]bool, len(list))
	for _, p := range list {
		kept[p.Name] = true
	}
	maps.DeleteFunc(k.of, func(name string, _ *control.Profile) bool { return !kept[name] })
}

// change changes what is known of a profile.
func (k *recorder) change(profile string, f func(p *control.Profile)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.of[profile]
	if p == nil {
		p = &control.Profile{}
		k.of[profile] = p
	}
	f(p)
}

// changeRun changes what is known of the run itself.
func (k *recorder) changeRun(f func(r *control.Record)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(&k.r)
}

func (k *recorder) part() Part {
	return Part{Name: "the status record", Engine: k.engine, Child: k.child, notice: k.notice}
}

// engine follows an event of the engine.
func (k *recorder) engine(e refresh.Event, _ bool) {
	switch e.Kind {
	case refresh.Refreshed, refresh.Unchanged:
		k.change(e.Profile, func(p *control.Profile) { k.succeeded(p, e) })
	case refresh.Failed:
		k.change(e.Profile, func(p *control.Profile) {
			p.Failed, p.Failures, p.Permanent, p.Next = e.Attempt, p.Failures+1, e.Permanent, e.Next
			p.Err, p.FailedAt = plan.OneLine(e.Err.Error()), e.Time
			p.Hint, p.RequestID = plan.OneLine(refresh.HintOf(e.Err)), e.RequestID
		})
	case refresh.Removed:
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.of, e.Profile)
	case refresh.DeliveryFailed:
		k.changeRun(func(r *control.Record) {
			r.DeliveryFailed, r.DeliveryErr = e.Attempt, plan.OneLine(e.Err.Error())
		})
	}
}

// succeeded follows a refresh, or one that gave the same again.
func (k *recorder) succeeded(p *control.Profile, e refresh.Event) {
	p.Failed, p.Err, p.Hint, p.RequestID, p.FailedAt, p.Permanent = 0, "", "", "", time.Time{}, false
	p.Next = e.Next
	if e.Kind == refresh.Unchanged {
		return
	}
	if p.KeyID != "" {
		p.Refreshed++
	}
	p.KeyID, p.Expires, p.Issued, p.Identity = e.KeyID, e.Expires, e.Time, e.Identity
	if !e.Expires.IsZero() {
		p.Issued = e.Expires.Add(-e.Life)
	}
	k.r.DeliveryFailed, k.r.DeliveryErr = 0, ""
}

// child follows an event of the command.
func (k *recorder) child(e supervisor.Event, _ bool) {
	k.changeRun(func(r *control.Record) {
		switch e.Kind {
		case supervisor.Started:
			if r.Command == "" {
				r.State = control.Keeping
				return
			}
			r.State, r.Child, r.Since, r.Starts, r.Again = control.Running, e.PID, time.Now().Round(0), r.Starts+1, time.Time{}
			for _, p := range k.of {
				p.StaleNow = false
			}
		case supervisor.Stopping:
			r.State = control.Stopping
		case supervisor.Ended:
			r.State, r.Child, r.Exit = control.Ended, 0, e.Exit.String()
			if e.Again {
				r.State, r.Again = control.Restarting, time.Now().Add(e.After).Round(0)
			}
		}
	})
}

// sourceExpiry follows what is known of the expiry of a source.
func (k *recorder) sourceExpiry(profile string, end source.Expiry, known bool) {
	if !known {
		end = source.Expiry{}
	}
	k.change(profile, func(p *control.Profile) { p.LivesOn, p.SourceExpiry = plan.OneLine(end.What), end.At })
}

// notice counts requests, and stale clients, and knows whether one still is.
func (k *recorder) notice(n notice) {
	switch n.kind {
	case clientStale:
		k.change(n.profile, func(p *control.Profile) { p.Stale, p.StaleNow = p.Stale+1, true })
	case clientFresh:
		k.change(n.profile, func(p *control.Profile) { p.StaleNow = false })
	case requestSigned:
		k.changeRun(func(r *control.Record) {
			if r.Requests++; n.request.Refused != "" {
				r.Refused++
			}
		})
	}
}
