package source

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"brs-exec.example/brs-exec/refresh"
)

// throttling is an STS that takes so many calls a second.
type throttling struct {
	allowed *rate.Limiter
	calls   atomic.Int64
	refused atomic.Int64
}

func (s *throttling) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	s.calls.Add(1)
	time.Sleep(50 * time.Millisecond)
	if !s.allowed.Allow() {
		s.refused.Add(1)
		refuse(w, http.StatusBadRequest, "Throttling", "Rate exceeded")
		return
	}
	stsAnswer(w, r.Form.Get("Action"), time.Hour)
}

// A server that throttles is asked as fast as it lets us, and nearly no call is in vain; once it
// lets all pass nothing holds anyone up.
func TestPace(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	synctest.Test(t, func(t *testing.T) {
		server := &throttling{allowed: rate.NewLimiter(20, 20)}
		n := serve(t, server)
		all := poolNew(t, NewPool(), many(1000, Spec{limits: limits{dial: n.dial}})...)
		began := time.Now()
		// As an engine would, with a wait of a second in place of its backoff.
		atOnce(all, func(s *Source) {
			for {
				_, err := s.Retrieve(t.Context())
				if err == nil {
					return
				}
				failure(t, err)
				time.Sleep(time.Second)
			}
		})
		took, bound := time.Since(began), 49*time.Second // (1000-20)/20
		t.Logf("1,000 roles at 20 a second: %s of at least %s, %d calls, %d of them throttled", took, bound, server.calls.Load(), server.refused.Load())
		if took > bound*3/2 {
			t.Errorf("took %s, where %s is what the server allows", took, bound)
		}
		if refused := server.refused.Load(); refused > 150 {
			t.Errorf("%d of %d calls were in vain", refused, server.calls.Load())
		}
		server.allowed.SetLimit(rate.Inf)
		time.Sleep(paceRecovery)
		mustRetrieve(t, all[0])
		began = time.Now()
		atOnce(all, func(s *Source) { mustRetrieve(t, s) })
		if took := time.Since(began); took > 7*time.Second { // 1,000 × 50 ms ÷ 8
			t.Errorf("afterwards they take %s", took)
		}
	})
}

// One server that throttles holds up nobody who asks another.
func TestPaceOfEach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p paces
		heard, _ := p.turn(t.Context(), "slow.test")
		heard(true, true)
		began := time.Now()
		for range 100 {
			if _, err := p.turn(t.Context(), "fast.test"); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("100 calls wait %s", took)
		}
		var wait sync.WaitGroup
		for range 3 {
			wait.Go(func() { p.turn(t.Context(), "slow.test") })
		}
		wait.Wait()
		if took := time.Since(began); took < 2*time.Second {
			t.Errorf("3 calls of the other wait %s", took)
		}
	})
}

// Answers that were on their way together are one word.
func TestPaceSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p paces
		var calls []func(bool, bool)
		for range 80 {
			heard, _ := p.turn(t.Context(), "h")
			calls = append(calls, heard)
		}
		time.Sleep(100 * time.Millisecond)
		for _, heard := range calls {
			heard(true, true)
		}
		limit := p.of("h").limit
		if limit.Limit() != 40 {
			t.Errorf("80 calls that were throttled together: the limit is %v", limit.Limit())
		}
		for range 200 {
			heard, _ := p.turn(t.Context(), "h")
			heard(true, true)
			time.Sleep(time.Second)
		}
		if limit.Limit() != paceLowest {
			t.Errorf("the lowest limit is %v", limit.Limit())
		}
		for range 100 {
			heard, _ := p.turn(t.Context(), "h")
			heard(true, false)
			time.Sleep(time.Second)
		}
		if got := limit.Limit(); got < 10 || got == rate.Inf {
			t.Errorf("after 100 answers: %v", got)
		}
		time.Sleep(paceRecovery)
		heard, _ := p.turn(t.Context(), "h")
		heard(true, false)
		if limit.Limit() != rate.Inf {
			t.Errorf("after a time without throttling: %v", limit.Limit())
		}
	})
}

// A call that is throttled is made once: what is next, and when, is for the engine.
func TestThrottledOnce(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	for _, tt := range []struct {
		status int
		code   string
		calls  int
	}{{400, "Throttling", 1}, {429, "TooManyRequestsException", 1}, {503, "SlowDown", 1}, {503, "", 2}, {500, "InternalFailure", 2}} {
		before := len(sts.got())
		sts.answer = func(w http.ResponseWriter, c call) bool { return refuse(w, tt.status, tt.code, "Rate exceeded") }
		var e *refresh.Error
		_, err := mustNew(t, Spec{Roles: []Role{{ARN: roleA}}}).Retrieve(t.Context())
		if e = failure(t, err); e.Permanent {
			t.Errorf("%v is permanent", e)
		}
		if n := len(sts.got()) - before; n != tt.calls {
			t.Errorf("%d %s: %d calls, want %d", tt.status, tt.code, n, tt.calls)
		}
	}
}

// TestPaceWhy: a call whose turn does not come in time tells what the server said, and one
// that was ended tells that.
func TestPaceWhy(t *testing.T) {
	t.Parallel()
	said, late := errors.New("ServiceUnavailable"), errors.New("not its turn")
	ended, end := context.WithCancel(t.Context())
	end()
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		refused error
		want    error
	}{
		{"the server has said why", t.Context(), said, said},
		{"nobody has", t.Context(), nil, late},
		{"ended", ended, said, late},
	} {
		p := &pace{refused: tt.refused}
		if got := p.why(tt.ctx, late); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
