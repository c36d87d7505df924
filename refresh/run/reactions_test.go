package run

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/control"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/writer"
	"brs-exec.example/brs-exec/writer/stale"
)

// TestReactions does what --on-refresh and --on-expiry can ask for.
func TestReactions(t *testing.T) {
	forced := plan.Reaction{Act: plan.Signal, Signal: syscall.SIGHUP, Force: true}
	tests := []struct {
		name    string
		plan    plan.Plan
		fail    func(call int) error
		refuse  error
		want    []string
		log     string // has this
		stopped bool   // because of the expiry
	}{
		{"none", plan.Plan{}, nil, nil, []string{"start"}, "", false},
		{"signal at each refresh", plan.Plan{Profiles: []plan.Profile{{OnRefresh: forced}}}, nil, nil, []string{"start", "signal 1 true", "signal 1 true"}, "", false},
		{"signal that cannot be sent", plan.Plan{Profiles: []plan.Profile{{OnRefresh: forced}}}, nil, errors.New("the command does not handle it"),
			[]string{"start", "signal 1 true", "signal 1 true"}, "no signal sent", false},
		{"restart", plan.Plan{Profiles: []plan.Profile{{OnRefresh: plan.Reaction{Act: plan.Restart}}}}, nil, nil,
			[]string{"start", "restart", "start", "restart", "start"}, "", false},
		{"restart that cannot be", plan.Plan{Profiles: []plan.Profile{{OnRefresh: plan.Reaction{Act: plan.Restart}}}}, nil, errors.New("once only"),
			[]string{"start", "restart", "restart"}, "the command cannot be started again", false},
		{"expiry, keep", plan.Plan{}, after(1, errors.New("down")), nil, []string{"start"}, "credentials have expired", false},
		{"expiry, stop", plan.Plan{Profiles: []plan.Profile{{OnExpiry: plan.Reaction{Act: plan.Stop}}}}, after(1, errors.New("down")), nil,
			[]string{"start", "stop"}, "the credentials have expired: stopping the command", true},
		{"expiry, signal", plan.Plan{Profiles: []plan.Profile{{OnExpiry: forced}}}, after(1, errors.New("down")), nil,
			[]string{"start", "signal 1 true"}, "credentials have expired", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newFakeRun(t, tt.plan)
				r.source.fail, r.child.refuse, r.child.life = tt.fail, tt.refuse, 80*time.Minute
				exit, err := r.run()
				if errors.Is(err, ErrExpired) != tt.stopped || err != nil && !tt.stopped || exit.Stopped != tt.stopped {
					t.Errorf("stopped %v, error %v; want %v", exit.Stopped, err, tt.stopped)
				}
				if diff := cmp.Diff(tt.want, r.child.seen()); diff != "" {
					t.Errorf("the command (-want +got):\n%s", diff)
				}
				if len(r.lines(tt.log)) == 0 {
					t.Errorf("the log lacks %q:\n%s", tt.log, r.log)
				}
				if tt.stopped && !strings.Contains(r.lines(tt.log)[0], "level=ERROR") {
					t.Errorf("a stop has to be said loudly: %s", r.lines(tt.log)[0])
				}
			})
		})
	}
}

// TestExpiryAtTheEnd: a command that ends by itself when its credentials expire has an
// exit code of its own.
func TestExpiryAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRun(t, plan.Plan{Profiles: []plan.Profile{{OnExpiry: plan.Reaction{Act: plan.Stop}}}})
		r.source.fail, r.child.code, r.child.itself = after(1, errors.New("down")), 3, true
		if exit, err := r.run(); err != nil || exit.Code != 3 {
			t.Errorf("exit code %d, %v; want the command's 3", exit.Code, err)
		}
	})
}

// TestHooks runs those of --on-refresh and --on-source-ending, one at a time, in
// the command's environment.
func TestHooks(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	hook := plan.Reaction{Act: plan.Exec, Argv: []string{"sh", "-c", `env | grep ^BRS_ | sort >>"$0"; env | grep -c ^AWS_ACCESS >>"$0"; echo said`, out}}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	denied := &refresh.Error{Err: errors.New("AccessDenied"), Permanent: true, Hint: "ask\nan admin"}
	for _, tt := range []struct {
		name string
		do   func(r *reactions)
		want string
	}{
		{"refreshed", func(r *reactions) {
			r.engine(refresh.Event{Kind: refresh.Refreshed, Profile: "prod", Expires: at}, false)
		},
			"BRS_EVENT=refreshed\nBRS_EXPIRES=2026-03-01T12:00:00Z\nBRS_PROFILE=prod\n1\n"},
		{"the first credentials", func(r *reactions) {
			r.engine(refresh.Event{Kind: refresh.Refreshed, Profile: "prod", Expires: at}, true)
		}, ""},
		{"source ending", func(r *reactions) {
			r.sourceExpires(r.profiles.get("prod"), source.Expiry{At: at, What: "a login", Hint: "log in"})
		}, "BRS_EVENT=source-ending\nBRS_EXPIRES=2026-03-01T12:00:00Z\nBRS_HINT=log in\nBRS_PROFILE=prod\nBRS_SOURCE=a login\n0\n"},
		{"source refuses", func(r *reactions) {
			r.engine(refresh.Event{Kind: refresh.Failed, Profile: "prod", Permanent: true, First: true, Err: denied}, false)
		}, "BRS_EVENT=source-ended\nBRS_HINT=ask an admin\nBRS_PROFILE=prod\nBRS_SOURCE=AccessDenied\n0\n"},
		{"source refuses again", func(r *reactions) {
			r.engine(refresh.Event{Kind: refresh.Failed, Profile: "prod", Permanent: true, Err: denied}, false)
		}, ""},
		{"source fails for a while", func(r *reactions) { r.engine(refresh.Event{Kind: refresh.Failed, Profile: "prod", Err: denied}, false) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(out, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			f := newFakeRun(t, plan.Plan{Profiles: []plan.Profile{{Name: "prod", OnRefresh: hook, OnSourceEnding: hook}}})
			r := f.open(t).reactions
			r.hooks.environ = func() []string {
				return []string{"PATH=" + os.Getenv("PATH"), "AWS_ACCESS_KEY_ID=A", "AWS_SESSION_TOKEN=t"}
			}
			tt.do(r)
			r.hooks.wait()
			got, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("the hook found (-want +got):\n%s", diff)
			}
			if said := f.lines("line=said"); (tt.want != "") != (len(said) == 1) {
				t.Errorf("the log has %q of the hook", said)
			}
		})
	}
	f := newFakeRun(t, plan.Plan{Profiles: []plan.Profile{{Name: "prod", OnRefresh: plan.Reaction{Act: plan.Exec, Argv: []string{"sh", "-c", "exit 3"}}}}})
	r := f.open(t).reactions
	r.engine(refresh.Event{Kind: refresh.Refreshed, Profile: "prod"}, false)
	r.hooks.wait()
	if got := f.lines("hook failed"); len(got) != 1 || !strings.Contains(got[0], "exit status 3") {
		t.Errorf("the log has %q", got)
	}
	r.hooks.environ = func() []string { panic("verysecret") }
	r.engine(refresh.Event{Kind: refresh.Refreshed, Profile: "prod"}, false)
	r.hooks.wait()
	if got := f.lines("part=\"a hook\""); len(got) != 1 {
		t.Errorf("the log has %q of a hook that panics", got)
	}
}

// TestSourceHookHasNoSecrets: what sends a message to a person needs neither the keys
// nor what the endpoint gives them for.
func TestSourceHookHasNoSecrets(t *testing.T) {
	h := &hooks{environ: func() []string {
		return []string{
			"AWS_ACCESS_KEY_ID=hidden", "AWS_SECRET_ACCESS_KEY=hidden", "AWS_SESSION_TOKEN=hidden", "AWS_SECURITY_TOKEN=hidden", "AWSSECRETACCESSKEY=hidden",
			"AWS_CONTAINER_CREDENTIALS_FULL_URI=hidden", "AWS_CONTAINER_AUTHORIZATION_TOKEN=hidden", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=hidden",
			"KEPT=yes", "AWS_REGION=eu-west-1",
		}
	}}
	want := []string{"KEPT=yes", "AWS_REGION=eu-west-1", "BRS_SOURCE=", "BRS_HINT=log in", "BRS_EVENT=source-ending", "BRS_PROFILE="}
	if diff := cmp.Diff(want, h.env(hookEvent{name: "source-ending", ofSource: true, hint: "log in"})); diff != "" {
		t.Errorf("the hook has (-want +got):\n%s", diff)
	}
}

// TestStaleAlarm says that nobody comes back for newer credentials, and does what
// --on-stale asks for.
func TestStaleAlarm(t *testing.T) {
	for _, tt := range []struct {
		name   string
		on     plan.Reaction
		ends   time.Duration // from now
		by     stale.Delivery
		refuse error
		want   []string
		log    []string
	}{
		{"warn", plan.Reaction{Act: plan.Warn}, time.Minute, stale.Process, nil, nil, []string{"those it has expire ", "--deliver file"}},
		{"ended", plan.Reaction{Act: plan.Warn}, -time.Minute, stale.File, nil, nil, []string{"those it has expired ", "--deliver auto"}},
		{"signal", plan.Reaction{Act: plan.Signal, Signal: syscall.SIGHUP}, time.Minute, stale.File, nil, []string{"signal 1 false"}, nil},
		{"restart", plan.Reaction{Act: plan.Restart}, time.Minute, stale.File, nil, []string{"restart"}, nil},
		{"refused", plan.Reaction{Act: plan.Restart}, time.Minute, stale.File, errors.New("the command is not running"), []string{"restart"}, []string{"nothing done about it"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeRun(t, plan.Plan{Profiles: []plan.Profile{{OnStale: tt.on}}})
			f.child.refuse = tt.refuse
			r := f.open(t)
			s := &staleReaction{r.record.profiles, f.child, r.parts}
			s.alarm(stale.Alarm{Profile: "brs-exec", Delivery: tt.by, Read: time.Now(), Expires: time.Now().Add(tt.ends)})
			if p := f.profile(); p.Stale != 1 || !p.StaleNow {
				t.Errorf("the record has %+v, want one stale client", p)
			}
			s.cleared("brs-exec")
			if diff := cmp.Diff(tt.want, f.child.seen()); diff != "" {
				t.Errorf("the command (-want +got):\n%s", diff)
			}
			for _, part := range append(tt.log, "no client has read the credentials since", "it holds no copy") {
				if len(f.lines(part)) != 1 {
					t.Errorf("the log lacks %q:\n%s", part, f.log)
				}
			}
			if p := f.profile(); p.Stale != 1 || p.StaleNow {
				t.Errorf("the record has %+v, want one client that was stale", p)
			}
		})
	}
}

// TestStaleWatch is told of credentials like any delivery, where --on-stale asks for it.
func TestStaleWatch(t *testing.T) {
	for _, tt := range []struct {
		name    string
		on      plan.Act
		deliver plan.Delivery
		want    bool
	}{
		{"warn", plan.Warn, plan.Delivery{Files: writer.File}, true},
		{"not asked for", plan.None, plan.Delivery{Files: writer.File}, false},
		{"variables, which nobody reads again", plan.Warn, plan.Delivery{Files: writer.Endpoint, Env: true}, false},
	} {
		r := newFakeRun(t, plan.Plan{Profiles: []plan.Profile{{OnStale: plan.Reaction{Act: tt.on}}}, Deliver: tt.deliver}).open(t)
		told := slices.ContainsFunc(r.engine.opts.Deliveries, func(d refresh.Delivery) bool { _, ok := d.(*stale.Watch); return ok })
		follows := slices.ContainsFunc(r.parts.list, func(p Part) bool { return p.Name == "the watch for stale clients" && p.Engine != nil && p.Child != nil })
		if told != tt.want || follows != tt.want {
			t.Errorf("%s: told of credentials %v, of events %v; want %v", tt.name, told, follows, tt.want)
		}
	}
}

// TestSourceExpires: a person is told ahead, once, and `status` of it.
func TestSourceExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRun(t, plan.Plan{EndingBefore: time.Hour})
		end := source.Expiry{At: time.Now().Add(3 * time.Hour), What: "a login", Hint: "log in"}
		r.source.expiry = func() (source.Expiry, bool) { return end, true }
		r.child.life = 4 * time.Hour
		var last control.Profile
		r.child.looks = func([]string) string { last = r.profile(); return "" }
		if _, err := r.run(); err != nil {
			t.Fatal(err)
		}
		got := r.lines("the source expires")
		if len(got) != 1 || !strings.Contains(got[0], "level=ERROR") || !strings.Contains(got[0], `hint="log in"`) {
			t.Errorf("the log has %q, want one error with the hint", got)
		}
		if last.LivesOn != end.What || !last.SourceExpiry.Equal(end.At) {
			t.Errorf("the record has %q until %v, want %q until %v", last.LivesOn, last.SourceExpiry, end.What, end.At)
		}
	})
}
