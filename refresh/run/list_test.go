package run

import (
	"context"
	"errors"
	"fmt"
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
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/writer/shared"
)

// listed makes profiles of these names.
func listed(names ...string) (list []plan.Profile) {
	for i, name := range names {
		list = append(list, plan.Profile{Name: name, Source: source.Spec{Profile: name}, Where: fmt.Sprintf("fleet.yaml:%d", i+2)})
	}
	return list
}

// TestList: a change of the list adds and removes profiles, and asks none of the others
// again; a list that cannot be used is said once and changes nothing.
func TestList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRun(t, plan.Plan{Profiles: listed("a", "b", "c")})
		r.child.life = 10 * time.Minute
		sources := map[string]*fakeSource{}
		r.openSource = func(_ context.Context, p plan.Profile) (credentialSource, error) {
			if p.Name == "broken" {
				return nil, errors.New("no such profile")
			}
			sources[p.Name] = &fakeSource{}
			return sources[p.Name], nil
		}
		var events []string
		r.Parts = []Part{{Name: "the test", Engine: func(e refresh.Event, first bool) {
			events = append(events, fmt.Sprintf("%s %s %v", e.Kind, e.Profile, first))
		}}}
		r.watchList = func(ctx context.Context, changed func([]plan.Profile, error) bool) {
			for _, step := range []func() bool{
				func() bool { return changed(nil, errors.New("accounts.csv: not to be read")) },
				func() bool { return changed(listed("a", "broken"), nil) },
				func() bool { return changed(listed("b", "d", "a"), nil) },
				func() bool { return changed(listed("b", "d", "a"), nil) },
			} {
				time.Sleep(time.Minute)
				step()
			}
			<-ctx.Done()
		}
		if exit, err := r.run(); err != nil || exit.Code != 0 {
			t.Fatalf("code %d, %v", exit.Code, err)
		}
		slices.Sort(events[:3])
		want := []string{"refreshed a true", "refreshed b true", "refreshed c true", "refreshed d true", "removed c false"}
		slices.Sort(events[3:])
		if diff := cmp.Diff(want, events); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		for name, src := range sources {
			if src.calls != 1 {
				t.Errorf("%s was asked %d times, want once", name, src.calls)
			}
		}
		if got := r.lines("cannot be used"); len(got) != 1 || !strings.Contains(got[0], "accounts.csv") {
			t.Errorf("the log has %q, want the first mistake", got)
		}
		if got := r.lines("can be used again"); len(got) != 1 {
			t.Errorf("the log has %q", got)
		}
		if got := r.lines("has changed"); len(got) != 1 || !strings.Contains(got[0], "added=1 removed=1 profiles=3") {
			t.Errorf("the log has %q", got)
		}
	})
}

// TestListAtTheEnd: a change that is under way when the command ends opens no more sources,
// and is no failure.
func TestListAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRun(t, plan.Plan{Profiles: listed("a")})
		r.child.life, r.child.code = time.Minute, 7
		opened := 0
		r.openSource = func(context.Context, plan.Profile) (credentialSource, error) {
			if opened++; opened > 1 {
				time.Sleep(time.Second)
			}
			return &fakeSource{}, nil
		}
		r.watchList = func(ctx context.Context, changed func([]plan.Profile, error) bool) {
			time.Sleep(r.child.life - time.Second/2)
			changed(listed("a", "b", "c", "d", "e"), nil)
		}
		if exit, err := r.run(); err != nil || exit.Code != 7 {
			t.Fatalf("code %d, %v", exit.Code, err)
		}
		if got := r.lines("cannot be used"); opened != 2 || len(got) > 0 {
			t.Errorf("%d sources were opened, want 2; the log has %q", opened, got)
		}
	})
}

// TestRequire: the command starts when as many profiles as required have credentials, and
// what follows a profile's events is its own.
func TestRequire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := listed("a", "b", "denied", "down")
		list[1].OnRefresh = plan.Reaction{Act: plan.Signal, Signal: syscall.SIGHUP}
		r := newFakeRun(t, plan.Plan{Profiles: list, Require: 2})
		r.child.life = 70 * time.Minute
		r.openSource = func(_ context.Context, p plan.Profile) (credentialSource, error) {
			src := &fakeSource{}
			if p.Name == "denied" {
				src.fail = func(int) error {
					return &refresh.Error{Err: errors.New("AccessDenied"), Permanent: true, Hint: "ask an admin"}
				}
			}
			if p.Name == "down" {
				src.fail = func(call int) error {
					if call > 4 {
						return nil
					}
					return errors.New("connection refused")
				}
			}
			return src, nil
		}
		if exit, err := r.run(); err != nil || exit.Code != 0 {
			t.Fatalf("code %d, %v", exit.Code, err)
		}
		if diff := cmp.Diff([]string{"start", "signal 1 false", "signal 1 false"}, r.child.seen()); diff != "" {
			t.Errorf("the command (-want +got):\n%s", diff)
		}
		for _, want := range []string{
			`level=ERROR msg="no credentials yet, and no retry will help: a person must act" profile=denied`,
			`level=WARN msg="no credentials yet; the command has started without them" profile=down`,
			`level=WARN msg="credentials obtained at last" profile=down`,
			`level=WARN msg="exit 0 after 1h10m; `, // of who never got any there were failures
		} {
			if got := r.lines(want); len(got) != 1 {
				t.Errorf("the log has %q, want it once: %s\n%s", got, want, strings.Join(r.lines("profile=down"), "\n"))
			}
		}
	})
}

// TestRequireAll: one that is denied ends the start where all are required.
func TestRequireAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRun(t, plan.Plan{Profiles: listed("a", "denied")})
		r.openSource = func(_ context.Context, p plan.Profile) (credentialSource, error) {
			src := &fakeSource{}
			if p.Name == "denied" {
				src.fail = func(int) error {
					return &refresh.Error{Err: errors.New("AccessDenied"), Permanent: true, Hint: "ask an admin"}
				}
			}
			return src, nil
		}
		_, err := r.run()
		if err == nil || !strings.Contains(err.Error(), `"denied"`) || !strings.Contains(err.Error(), "AccessDenied") {
			t.Errorf("the run ended with %v, want the profile and why", err)
		}
		if known := (*refresh.Error)(nil); !errors.As(err, &known) || known.Hint != "ask an admin; --require any, or a number, starts without it" {
			t.Errorf("the hint is of %+v", known)
		}
		if len(r.child.seen()) > 0 {
			t.Errorf("the command: %q", r.child.seen())
		}
	})
}

// TestReactionsOfMany: what goes wrong with the reactions of many profiles is said once in a
// row, and that each refresh of each would start the command again is said beforehand.
func TestReactionsOfMany(t *testing.T) {
	for _, tt := range []struct {
		name string
		on   plan.Reaction
		want string
	}{
		{"a signal", plan.Reaction{Act: plan.Signal, Signal: syscall.SIGHUP}, "no signal sent"},
		{"a hook", plan.Reaction{Act: plan.Exec, Argv: []string{"/nonexistent/hook"}}, "hook failed"},
		{"a restart", plan.Reaction{Act: plan.Restart}, "starts the command again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				list := listed("a", "b", "c")
				for i := range list {
					list[i].OnRefresh = tt.on
				}
				r := newFakeRun(t, plan.Plan{Profiles: list})
				r.child.life = 70 * time.Minute
				r.child.refuse = errors.New("SIGHUP would end the command")
				if exit, err := r.run(); err != nil || exit.Code != 0 {
					t.Fatalf("code %d, %v", exit.Code, err)
				}
				warned := 0
				for _, line := range r.lines(tt.want) {
					if strings.Contains(line, "level=WARN") {
						warned++
					}
				}
				if warned != 1 {
					t.Errorf("%d warnings, want one: %q", warned, r.lines(tt.want))
				}
			})
		})
	}
}

// TestListErrors: what is wrong with an entry says where that stands.
func TestListErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFakeRun(t, plan.Plan{Profiles: listed("a", "b")})
		r.openSource = func(_ context.Context, p plan.Profile) (credentialSource, error) {
			if p.Name == "b" {
				return nil, refresh.Permanentf("aws configure", "no profile b")
			}
			return &fakeSource{}, nil
		}
		_, err := r.run()
		var known *refresh.Error
		if err == nil || err.Error() != `fleet.yaml:3: profile "b": no profile b` || !errors.As(err, &known) || known.Hint == "" {
			t.Errorf("the run ended with %v", err)
		}
	})
}

// TestListInTheFile: a change of the list adds and removes sections of the user's file, and
// one that another run keeps leaves everything as it was.
func TestListInTheFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "credentials")
	other, err := shared.Open(t.Context(), shared.Options{Path: path, Sections: map[string]string{"x": "taken"}})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close(context.Background())
	r := newFakeRun(t, plan.Plan{Profiles: listed("a", "b"), Shared: plan.Shared{Path: path, AtExit: shared.Remove}})
	r.openSource = func(context.Context, plan.Profile) (credentialSource, error) { return &fakeSource{}, nil }
	sections := func() (found []string) {
		text, err := os.ReadFile(path)
		if err != nil {
			return []string{err.Error()}
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "[") {
				found = append(found, strings.TrimSpace(line))
			}
		}
		slices.Sort(found)
		return found
	}
	refreshed, removed := make(chan string, 8), make(chan string, 8)
	r.Parts = []Part{{Name: "the test", Engine: func(e refresh.Event, _ bool) {
		switch e.Kind {
		case refresh.Refreshed:
			refreshed <- e.Profile
		case refresh.Removed:
			removed <- e.Profile
		}
	}}}
	r.child.stop = make(chan struct{})
	r.watchList = func(ctx context.Context, changed func([]plan.Profile, error) bool) {
		defer close(r.child.stop)
		<-refreshed
		<-refreshed
		if changed(listed("a", "taken"), nil) {
			t.Error("a list with a section of another run is said to be in force, and would not be tried again")
		}
		if diff := cmp.Diff([]string{"[a]", "[b]"}, sections()); diff != "" {
			t.Errorf("after a list with a section of another run (-want +got):\n%s", diff)
		}
		changed(listed("a", "c"), nil)
		<-refreshed
		<-removed
		if diff := cmp.Diff([]string{"[a]", "[c]"}, sections()); diff != "" {
			t.Errorf("after the change (-want +got):\n%s", diff)
		}
	}
	if exit, err := r.run(); err != nil || exit.Code != 0 {
		t.Fatalf("code %d, %v", exit.Code, err)
	}
	if got := r.lines("cannot be used"); len(got) != 1 || !strings.Contains(got[0], "taken") {
		t.Errorf("the log has %q", got)
	}
}
