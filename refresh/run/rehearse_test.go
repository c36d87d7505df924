package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
)

// fakeSigner issues local credentials, and takes the real ones.
type fakeSigner struct {
	mu     sync.Mutex
	issued int
	real   []string // access key ids
}

func (f *fakeSigner) Deliver(_ context.Context, sets map[string]aws.Credentials) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, creds := range sets {
		f.real = append(f.real, creds.AccessKeyID)
	}
	return nil
}

func (f *fakeSigner) Issue(profile string, life time.Duration) aws.Credentials {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.issued++
	return aws.Credentials{
		AccessKeyID: fmt.Sprintf("ASIALOCAL%07d", f.issued), SecretAccessKey: "localsecret", SessionToken: "localtoken",
		CanExpire: true, Expires: time.Now().Add(life),
	}
}

// shelf is a delivery of a run.
type shelf struct {
	mu   sync.Mutex
	keys []string // access key ids, in their order
	left []time.Duration
}

func (s *shelf) Deliver(_ context.Context, sets map[string]aws.Credentials) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, creds := range sets {
		s.keys, s.left = append(s.keys, creds.AccessKeyID), append(s.left, time.Until(creds.Expires))
	}
	return nil
}

// TestRehearsal: the deliveries get local credentials that are refreshed within their lifetime,
// and the listener the real ones, which last longer. The log has nothing of the short lifetime.
func TestRehearsal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, s, to := &fakeSource{slow: 3 * time.Second}, &fakeSigner{}, &shelf{}
		text := &syncBuffer{}
		p := &parts{log: slog.New(slog.NewTextHandler(text, nil))}
		ps := &profiles{log: p.log, bursts: bursts{log: p.log}}
		ps.set([]*profile{{src: src}})
		log := func() Part { return logEngine(ps, p.log, make(chan struct{})) }
		r := &Rehearsal{Life: 20 * time.Second}
		local, real := r.engines(refresh.Options{
			Profiles: []refresh.Profile{{Name: "p", Source: src}}, Deliveries: []refresh.Delivery{to}, MinTTL: 30 * time.Minute, StartTimeout: 30 * time.Second,
			Notify: func(e refresh.Event) { p.engine(e) },
		}, s, p, log())
		p.list = []Part{logLocal(log())}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour)
		defer cancel()
		done := make(chan error)
		go func() { done <- real.Run(ctx) }()
		began := time.Now()
		e := newEngine(local)
		go func() { done <- e.run(ctx, p.keep) }()
		<-e.ready()
		if waited := time.Since(began); waited < 3*time.Second {
			t.Errorf("ready after %v, before there were real credentials", waited)
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if slices.ContainsFunc(to.keys, func(id string) bool { return !strings.HasPrefix(id, "ASIALOCAL") }) || len(to.keys) < 2*3600/10 || len(to.keys) > 2*3600/8 {
			t.Errorf("the deliveries got %d: %.5q", len(to.keys), to.keys)
		}
		if shortest := slices.Min(to.left); shortest < 19*time.Second || slices.Max(to.left) > 20*time.Second {
			t.Errorf("they are valid for %v to %v", shortest, slices.Max(to.left))
		}
		if slices.ContainsFunc(s.real, func(id string) bool { return !strings.HasPrefix(id, "ASIAFAKE") }) || len(s.real) < 3 || len(s.real) > 10 {
			t.Errorf("the listener got %q", s.real)
		}
		for line := range strings.Lines(text.String()) {
			if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
				t.Errorf("logged: %s", line)
			}
		}
	})
}

// TestRehearsalWithoutCredentials: the run ends as it would have without a rehearsal.
func TestRehearsalWithoutCredentials(t *testing.T) {
	denied := &refresh.Error{Err: errors.New("denied"), Permanent: true, Hint: "ask for it"}
	for _, tt := range []struct {
		name    string
		fail    error
		minimum time.Duration
		least   time.Duration // that it takes
		want    string
		hint    string
	}{
		{name: "refused", fail: denied, want: "denied", hint: "ask for it"},
		{name: "down", fail: errors.New("down"), least: 30 * time.Second, want: "no credentials within 30s: down"},
		{name: "too short", minimum: 2 * time.Hour, least: 30 * time.Second, want: "less than the minimum", hint: "--duration requests longer ones; or lower --min-ttl"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &fakeSource{fail: func(int) error { return tt.fail }}
				p := &parts{log: slog.New(slog.DiscardHandler)}
				ps := &profiles{log: p.log, bursts: bursts{log: p.log}}
				ps.set([]*profile{{src: src}})
				log := func() Part { return logEngine(ps, p.log, make(chan struct{})) }
				local, real := (&Rehearsal{Life: time.Minute}).engines(refresh.Options{
					Profiles: []refresh.Profile{{Name: "p", Source: src}}, Deliveries: []refresh.Delivery{&shelf{}}, MinTTL: tt.minimum, StartTimeout: 30 * time.Second,
					Notify: p.engine,
				}, &fakeSigner{}, p, log())
				p.list = []Part{logLocal(log())}
				ctx, cancel := context.WithCancel(t.Context())
				began := time.Now()
				done := make(chan error)
				go func() { done <- real.Run(ctx) }()
				err := newEngine(local).run(ctx, p.keep)
				took := time.Since(began)
				cancel()
				<-done
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Count(err.Error(), "no credentials within") > 1 || refresh.HintOf(err) != tt.hint {
					t.Errorf("%v, hint %q; want %s, %q", err, refresh.HintOf(err), tt.want, tt.hint)
				}
				if took < tt.least || took > tt.least+realGrace {
					t.Errorf("it took %v, want about %v", took, tt.least)
				}
			})
		})
	}
}
