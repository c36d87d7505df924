package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/control"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/supervisor"
	"brs-exec.example/brs-exec/writer/sign"
)

// recorderOf is one of a run with profiles of these names.
func recorderOf(p *plan.Plan, names ...string) *recorder {
	ps := &profiles{}
	var list []*profile
	for _, name := range names {
		list = append(list, &profile{Profile: plan.Profile{Name: name}, src: &fakeSource{}})
	}
	ps.set(list)
	k := newRecorder(p, ps)
	k.alive = func(context.Context) error { return nil }
	return k
}

func TestRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().Round(0)
		k := recorderOf(&plan.Plan{Argv: []string{"/usr/bin/python", "--password=x"}, Deliver: plan.Delivery{Name: "sign"}}, "one", "two")
		set := refresh.Event{Kind: refresh.Refreshed, Profile: "one", Time: now, KeyID: "ASIAFAKEFAKEFAKE0001", Identity: "arn:aws:sts::1:assumed-role/R/S", Expires: now.Add(time.Hour), Life: time.Hour, Next: now.Add(time.Minute)}
		refused := &refresh.Error{Err: errors.New("denied\nby a policy"), Permanent: true, Hint: "ask for it"}
		failed := refresh.Event{Kind: refresh.Failed, Profile: "one", Time: now, Attempt: 3, Permanent: true, RequestID: "req-1", Err: fmt.Errorf("assume: %w", refused), Next: now.Add(time.Second)}
		broken := refresh.Event{Kind: refresh.DeliveryFailed, Attempt: 2, Err: errors.New("disk full")}
		login := source.Expiry{At: now.Add(time.Hour), What: "a login"}
		same := set
		same.Kind = refresh.Unchanged

		r := control.Record{Version: 1, PID: os.Getpid(), Name: "python", Command: "python", Began: now, State: control.Starting, Deliver: "sign"}
		p := control.Profile{Name: "one", Source: "a fake"}
		two := control.Profile{Name: "two", Source: "a fake"}
		for _, step := range []struct {
			name   string
			do     func()
			expect func()
		}{
			{"nothing yet", func() {}, func() {}},
			{"first credentials", func() { k.engine(set, true) }, func() {
				p.KeyID, p.Issued, p.Expires, p.Next, p.Identity = set.KeyID, now, set.Expires, set.Next, set.Identity
			}},
			{"failure", func() { k.engine(failed, false) }, func() {
				p.Failed, p.Failures, p.Permanent, p.Err, p.Hint, p.FailedAt, p.Next, p.RequestID = 3, 1, true, "assume: denied by a policy", "ask for it", now, failed.Next, "req-1"
			}},
			{"the same again", func() { k.engine(same, false) }, func() {
				p.Failed, p.Permanent, p.Err, p.Hint, p.FailedAt, p.Next, p.RequestID = 0, false, "", "", time.Time{}, set.Next, ""
			}},
			{"a full disk", func() { k.engine(broken, false) }, func() { r.DeliveryFailed, r.DeliveryErr = 2, "disk full" }},
			{"second credentials", func() { k.engine(set, false) }, func() { p.Refreshed, r.DeliveryFailed, r.DeliveryErr = 1, 0, "" }},
			{"a login that ends", func() { k.sourceExpiry("one", login, true) }, func() { p.LivesOn, p.SourceExpiry = login.What, login.At }},
			{"no end", func() { k.sourceExpiry("one", login, false) }, func() { p.LivesOn, p.SourceExpiry = "", time.Time{} }},
			{"the command starts", func() { k.child(supervisor.Event{Kind: supervisor.Started, PID: 4711}, true) }, func() {
				r.State, r.Child, r.Since, r.Starts = control.Running, 4711, now, 1
			}},
			{"a profile that is kept no longer", func() {
				k.engine(refresh.Event{Kind: refresh.Failed, Profile: "two", Err: refused, Attempt: 1}, false)
				k.engine(refresh.Event{Kind: refresh.Removed, Profile: "two"}, false)
			}, func() {}},
			{"stale", func() { k.notice(notice{kind: clientStale, profile: "one"}) }, func() { p.Stale, p.StaleNow = 1, true }},
			{"a request", func() { k.notice(notice{kind: requestSigned, request: sign.Request{Status: 200}}) }, func() { r.Requests = 1 }},
			{"one that was refused", func() { k.notice(notice{kind: requestSigned, request: sign.Request{Refused: "AccessDenied"}}) }, func() { r.Requests, r.Refused = 2, 1 }},
			{"the command is stopped", func() { k.child(supervisor.Event{Kind: supervisor.Stopping, PID: 4711}, false) }, func() { r.State = control.Stopping }},
			{"and ends", func() {
				k.child(supervisor.Event{Kind: supervisor.Ended, PID: 4711, Exit: supervisor.Exit{Code: 3}, Again: true, After: time.Second}, false)
			}, func() {
				r.State, r.Child, r.Exit, r.Again = control.Restarting, 0, "exit status 3", now.Add(time.Second)
			}},
			{"and starts again", func() { k.child(supervisor.Event{Kind: supervisor.Started, PID: 4712}, false) }, func() {
				r.State, r.Child, r.Since, r.Starts, r.Again, p.StaleNow = control.Running, 4712, now, 2, time.Time{}, false
			}},
		} {
			step.do()
			step.expect()
			want := r
			want.Profiles = []control.Profile{p, two}
			if diff := cmp.Diff(want, k.status(t.Context())); diff != "" {
				t.Errorf("%s (-want +got):\n%s", step.name, diff)
			}
		}
	})
}

// TestRecordOfRemoved: a profile that the list has no more is forgotten.
func TestRecordOfRemoved(t *testing.T) {
	k := recorderOf(&plan.Plan{Keep: &plan.Keep{}}, "one", "two")
	for _, name := range []string{"one", "two"} {
		k.engine(refresh.Event{Kind: refresh.Failed, Profile: name, Err: errors.New("x"), Attempt: 1}, true)
	}
	k.profiles.set(k.profiles.all()[1:])
	k.child(supervisor.Event{Kind: supervisor.Started}, true)
	r := k.status(t.Context())
	if len(r.Profiles) != 1 || r.Profiles[0].Name != "two" || len(k.of) != 1 || r.State != control.Keeping || r.Name != "keep" {
		t.Errorf("the record is %+v, of %d profiles", r, len(k.of))
	}
}

// TestRecordHangs: the record is told whatever the engine is up to.
func TestRecordHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := recorderOf(&plan.Plan{Keep: &plan.Keep{}}, "one")
		k.alive = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		if r := k.status(t.Context()); !r.Hangs {
			t.Error("an engine that does not respond is not told of")
		}
	})
}

// TestRecordOfMany: an event among a thousand profiles costs as much as among ten.
func TestRecordOfMany(t *testing.T) {
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprint(i))
	}
	k := recorderOf(&plan.Plan{Keep: &plan.Keep{}}, names...)
	e := refresh.Event{Kind: refresh.Refreshed, Profile: "500", KeyID: "k"}
	k.engine(e, false)
	if n := testing.AllocsPerRun(100, func() { k.engine(e, false) }); n > 2 {
		t.Errorf("an event allocates %v times", n)
	}
	if got := k.status(t.Context()).Profiles[500].Refreshed; got < 100 {
		t.Errorf("%d refreshes", got)
	}
}

// TestNameOf: a run is called by what is no secret.
func TestNameOf(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "Nightly Job.py")
	if err := os.WriteFile(script, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		plan plan.Plan
		want string
	}{
		{plan.Plan{Name: "n", Lock: "l", Argv: []string{"sh"}}, "n"},
		{plan.Plan{Lock: "l", Argv: []string{"sh"}}, "l"},
		{plan.Plan{Keep: &plan.Keep{}, Argv: []string{"keep"}}, "keep"},
		{plan.Plan{Keep: &plan.Keep{}, Name: "sidecar", Argv: []string{"keep"}}, "sidecar"},
		{plan.Plan{Argv: []string{"/bin/sh"}}, "sh"},
		{plan.Plan{Argv: []string{"python", script, "--token", "x"}}, "python Nightly Job.py"},
		{plan.Plan{Argv: []string{"aws", "s3", "sync"}}, "aws s3"},
		{plan.Plan{Argv: []string{"terraform", "apply"}}, "terraform apply"},
		{plan.Plan{Argv: []string{"mysql", "-psecret", "db"}}, "mysql"},
		{plan.Plan{Argv: []string{"sh", "-c", "secret"}}, "sh"},
		{plan.Plan{Argv: []string{"login", "hunter2"}}, "login"},
		{plan.Plan{Argv: []string{"env", "TOKEN=abc"}}, "env"},
		{plan.Plan{Argv: []string{"psql", "postgres://user:pw@host/db"}}, "psql"},
		{plan.Plan{Argv: []string{"curl", "ghp_0123456789abcdef"}}, "curl"},
		{plan.Plan{Argv: []string{"x", dir}}, "x"},
		{plan.Plan{Argv: []string{"x", strings.Repeat("a", 200)}}, "x"},
		{plan.Plan{Argv: []string{"x", ""}}, "x"},
	} {
		if got := nameOf(&tt.plan); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.plan.Argv, got, tt.want)
		}
	}
}
