package source

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
)

// poolNew makes sources of one pool in the environment of the test.
func poolNew(t testing.TB, p *Pool, specs ...Spec) []*Source {
	t.Helper()
	var all []*Source
	for _, s := range specs {
		s.env = envOf(t).environment
		src, err := p.New(context.Background(), s)
		if err != nil {
			t.Fatalf("New = %v", err)
		}
		all = append(all, src)
	}
	return all
}

// many are specs made of one, each of which assumes a role of its own at the end.
func many(n int, s Spec) []Spec {
	var all []Spec
	for i := range n {
		one := s
		one.Roles = append(append([]Role{}, s.Roles...), Role{ARN: fmt.Sprintf("arn:aws:iam::123456789012:role/r%d", i), SessionName: "job"})
		all = append(all, one)
	}
	return all
}

// atOnce calls f for all, so many at the same time as an engine would.
func atOnce(all []*Source, f func(*Source)) {
	var work sync.WaitGroup
	next := make(chan *Source)
	for range 8 {
		work.Go(func() {
			for s := range next {
				f(s)
			}
		})
	}
	for _, s := range all {
		next <- s
	}
	close(next)
	work.Wait()
}

// tally is a server that counts what it is asked for.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
	answer func(w http.ResponseWriter, what string) bool
}

func (c *tally) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.ParseForm()
	what := r.Form.Get("Action")
	if strings.HasPrefix(r.URL.Path, "/federation") {
		what = "SSO"
	}
	c.mu.Lock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[what]++
	if arn := r.Form.Get("RoleArn"); arn == roleA {
		c.counts["first hop"]++
	}
	answer := c.answer
	c.mu.Unlock()
	time.Sleep(50 * time.Millisecond)
	switch {
	case answer != nil && answer(w, what):
	case what == "SSO":
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"roleCredentials":{"accessKeyId":"ASIASSO%d","secretAccessKey":%q,"sessionToken":%q,"expiration":%d}}`,
			stsKeys.Add(1), roleSecret, roleToken, time.Now().Add(time.Hour).UnixMilli())
	default:
		stsAnswer(w, what, time.Hour)
	}
}

// got are the counts so far, which begin anew.
func (c *tally) got() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.counts
	c.counts = nil
	return got
}

func (c *tally) answerBy(f func(w http.ResponseWriter, what string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = f
}

// poolWorld is a server of SSO and STS, and an SSO session that lasts.
func poolWorld(t *testing.T, test func(t *testing.T, server *tally, n *pipeNet)) {
	token := ssoConfig(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test", "AWS_REGION=eu-west-1")
	synctest.Test(t, func(t *testing.T) {
		server := &tally{}
		n := serve(t, server)
		cached(t, token, 24*time.Hour)
		test(t, server, n)
	})
}

// A round of refreshes retrieves the base once, and so does the next.
func TestPoolBase(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		spec Spec
		want map[string]int // in a round of 100
	}{
		{"SSO", Spec{Profile: "app"}, map[string]int{"SSO": 1, "AssumeRole": 100}},
		{"first role of a chain", Spec{Profile: "app", Roles: []Role{{ARN: roleA, SessionName: "job"}}}, map[string]int{"SSO": 1, "AssumeRole": 101, "first hop": 1}},
		{"profile with a role", Spec{Profile: "over", SessionName: "job"}, map[string]int{"SSO": 1, "AssumeRole": 101, "first hop": 1}},
		{"session names of their own", Spec{Profile: "app", Roles: []Role{{ARN: roleA, SessionName: "{profile}"}}}, map[string]int{"SSO": 1, "AssumeRole": 200, "first hop": 100}},
		{"regions of their own", Spec{Profile: "app", Roles: []Role{{ARN: roleA, SessionName: "job"}}}, map[string]int{"SSO": 1, "AssumeRole": 102, "first hop": 2}},
		{"token", Spec{WebIdentity: WebIdentity{Command: []string{"echo", jwt}}, Roles: []Role{{ARN: roleA, SessionName: "job"}}}, map[string]int{"AssumeRoleWithWebIdentity": 1, "AssumeRole": 100, "first hop": 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			poolWorld(t, func(t *testing.T, server *tally, n *pipeNet) {
				tt.spec.limits.dial = n.dial
				specs := many(100, tt.spec)
				if tt.name == "session names of their own" {
					for i := range specs {
						specs[i].Names.Profile = fmt.Sprint("p", i)
					}
				}
				if tt.name == "regions of their own" {
					for i := range specs {
						specs[i].Region = []string{"eu-west-1", "us-east-1"}[i%2]
					}
				}
				all := poolNew(t, NewPool(), specs...)
				for round := range 3 {
					ids := sync.Map{}
					atOnce(all, func(s *Source) { ids.Store(mustRetrieve(t, s).AccessKeyID, true) })
					if diff := cmp.Diff(tt.want, server.got()); diff != "" {
						t.Errorf("round %d (-want +got):\n%s", round, diff)
					}
					count := 0
					ids.Range(func(any, any) bool { count++; return true })
					if count != len(all) {
						t.Errorf("%d different credentials", count)
					}
					time.Sleep(28 * time.Minute)
				}
			})
		})
	}
}

// One source shares nothing: each retrieval goes all the way, as it would without a pool.
func TestPoolOfOne(t *testing.T) {
	t.Parallel()
	poolWorld(t, func(t *testing.T, server *tally, n *pipeNet) {
		all := poolNew(t, NewPool(), many(1, Spec{Profile: "app", limits: limits{dial: n.dial}})...)
		for range 3 {
			mustRetrieve(t, all[0])
		}
		if diff := cmp.Diff(map[string]int{"SSO": 3, "AssumeRole": 3}, server.got()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A base that is refused is refused for all, in the words that each would have got; and is
// asked again by whoever comes again.
func TestPoolBaseRefused(t *testing.T) {
	t.Parallel()
	poolWorld(t, func(t *testing.T, server *tally, n *pipeNet) {
		all := poolNew(t, NewPool(), many(100, Spec{Profile: "app", limits: limits{dial: n.dial}})...)
		server.answerBy(func(w http.ResponseWriter, what string) bool {
			return ssoRefuse(w, http.StatusForbidden, "ForbiddenException", "No access")
		})
		var texts sync.Map
		retrieve := func(s *Source) {
			_, err := s.Retrieve(t.Context())
			e := failure(t, err)
			texts.Store(fmt.Sprint(e, e.Permanent, e.Hint), true)
		}
		atOnce(all, retrieve)
		alone := poolNew(t, newPool(), many(1, Spec{Profile: "app", limits: limits{dial: n.dial}})...)
		retrieve(alone[0])
		count := 0
		texts.Range(func(text, _ any) bool { count++; t.Log(text); return true })
		if got := server.got(); count != 1 || got["SSO"] != 2 || got["AssumeRole"] != 0 {
			t.Errorf("%d texts; asked %v", count, got)
		}
		if _, err := all[3].Retrieve(t.Context()); err == nil || server.got()["SSO"] != 1 {
			t.Errorf("a retry got %v, and did not ask", err)
		}
		if _, err := all[4].Retrieve(t.Context()); err == nil || server.got()["SSO"] != 0 {
			t.Errorf("the next got %v, and asked again at once", err)
		}
		server.answerBy(nil)
		mustRetrieve(t, all[3]) // which has had the error
		mustRetrieve(t, all[4])
	})
}

// A base that was revoked costs one retry, and one call more.
func TestPoolBaseRevoked(t *testing.T) {
	t.Parallel()
	poolWorld(t, func(t *testing.T, server *tally, n *pipeNet) {
		all := poolNew(t, NewPool(), many(20, Spec{Profile: "app", limits: limits{dial: n.dial}})...)
		mustRetrieve(t, all[0])
		server.answerBy(func(w http.ResponseWriter, what string) bool {
			return what == "AssumeRole" && refuse(w, http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired")
		})
		if _, err := all[1].Retrieve(t.Context()); err == nil {
			t.Error("it was taken")
		}
		server.answerBy(nil)
		server.got()
		atOnce(all[1:], func(s *Source) { mustRetrieve(t, s) })
		if diff := cmp.Diff(map[string]int{"SSO": 1, "AssumeRole": 19}, server.got()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A base that hangs ends for each by its own context, and holds up nobody who does not need it.
func TestPoolBaseHangs(t *testing.T) {
	t.Parallel()
	poolWorld(t, func(t *testing.T, server *tally, n *pipeNet) {
		p := NewPool()
		all := poolNew(t, p, many(3, Spec{Profile: "app", limits: limits{dial: n.dial, connect: time.Hour, whole: time.Hour}})...)
		setenv(t, "AWS_ACCESS_KEY_ID=AKIABASE", "AWS_SECRET_ACCESS_KEY="+baseSecret)
		other := poolNew(t, p, Spec{Roles: []Role{{ARN: roleB}}, limits: limits{dial: n.dial}})[0]
		release := make(chan struct{})
		server.answerBy(func(w http.ResponseWriter, what string) bool {
			if what == "SSO" {
				<-release
			}
			return false
		})
		began := time.Now()
		var wait sync.WaitGroup
		for i, s := range all {
			limit := time.Duration(i+1) * 10 * time.Second
			wait.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				_, err := s.Retrieve(ctx)
				e := failure(t, err)
				if took := time.Since(began); took != limit || !strings.Contains(e.Error(), `profile "app": no answer in time from sso.test`) {
					t.Errorf("after %s: %v", took, e)
				}
			})
		}
		synctest.Wait()
		mustRetrieve(t, other)
		if took := time.Since(began); took > time.Second {
			t.Errorf("another took %s", took)
		}
		wait.Wait()
		close(release)
		server.answerBy(nil)
		server.got()
		atOnce(all, func(s *Source) { mustRetrieve(t, s) })
		if diff := cmp.Diff(map[string]int{"SSO": 1, "AssumeRole": 3}, server.got()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// Whoever began the call of a base may leave before it has ended.
func TestPoolFirstLeaves(t *testing.T) {
	t.Parallel()
	poolWorld(t, func(t *testing.T, server *tally, n *pipeNet) {
		all := poolNew(t, NewPool(), many(2, Spec{Profile: "app", limits: limits{dial: n.dial}})...)
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() {
			if _, err := all[0].Retrieve(ctx); err == nil {
				t.Error("it was not cancelled")
			}
		})
		time.Sleep(10 * time.Millisecond)
		wait.Go(func() { mustRetrieve(t, all[1]) })
		time.Sleep(10 * time.Millisecond)
		cancel()
		wait.Wait()
		if diff := cmp.Diff(map[string]int{"SSO": 1, "AssumeRole": 1}, server.got()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A program is run once a round, and one that may have asked a person not again until its
// credentials have served.
func TestPoolCommand(t *testing.T) {
	t.Parallel()
	isolate(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	runs := filepath.Join(t.TempDir(), "runs")
	script := fmt.Sprintf(`echo x >>%s; printf '{"Version": 1, "AccessKeyId": "AKIA%%s", "SecretAccessKey": "%s"}' $(wc -l <%s)`, runs, baseSecret, runs)
	all := poolNew(t, NewPool(), many(20, Spec{Command: []string{"sh", "-c", script}})...)
	for round := 1; round <= 3; round++ {
		atOnce(all, func(s *Source) { mustRetrieve(t, s) })
		if text, _ := os.ReadFile(runs); strings.Count(string(text), "x") != round {
			t.Errorf("round %d: ran %d times", round, strings.Count(string(text), "x"))
		}
	}
}

// A person is asked for one code, however many sources need the device, also at the same time;
// and is not asked again by the next source when they gave none.
func TestPoolMFA(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		answers []string
		failed  int
		prompts int
	}{
		{"one code", []string{"123456"}, 0, 1},
		{"no code", []string{"no", "none", "nothing"}, 50, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mfaEnv(t)
			setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
			synctest.Test(t, func(t *testing.T) {
				sts := &mfaSTS{life: 12 * time.Hour}
				n := serve(t, sts)
				var labels []string
				spec := Spec{MFA: MFA{Serial: device}, Prompt: typing(&labels, tt.answers...), limits: limits{dial: n.dial}}
				all := poolNew(t, NewPool(), many(50, spec)...)
				var failed atomic.Int32
				atOnce(all, func(s *Source) {
					if err := s.Authenticate(t.Context()); err != nil {
						failed.Add(1)
						failure(t, err)
					}
				})
				if int(failed.Load()) != tt.failed || len(labels) != tt.prompts {
					t.Fatalf("%d failed, %d prompts: %q", failed.Load(), len(labels), labels)
				}
				if tt.failed > 0 {
					return
				}
				for range 3 {
					atOnce(all, func(s *Source) { mustRetrieve(t, s) })
					time.Sleep(time.Hour)
				}
				if sts.sessions != 1 {
					t.Errorf("%d sessions", sts.sessions)
				}
			})
		})
	}
}

// What is true of all sources is said once, with how many they are.
func TestPoolNotes(t *testing.T) {
	t.Parallel()
	conf, _ := isolate(t)
	baseEnv(t)
	setenv(t, "AWS_CREDENTIAL_EXPIRATION=tomorrow")
	all := poolNew(t, NewPool(), make([]Spec, 1000)...)
	said := func() (lines []string) {
		for _, s := range all {
			lines = append(lines, s.Notes()...)
		}
		return lines
	}
	want := []string{"AWS_CREDENTIAL_EXPIRATION is not a time such as 2006-01-02T15:04:05Z: ignored (so it is for 999 more profiles)"}
	if diff := cmp.Diff(want, said()); diff != "" {
		t.Errorf("at first (-want +got):\n%s", diff)
	}
	write(t, conf, "\xff\xfe[default]")
	atOnce(all, func(s *Source) { mustRetrieve(t, s) })
	if lines := said(); len(lines) != 1 || !strings.Contains(lines[0], "save it as UTF-8") && !strings.Contains(lines[0], "UTF-16") || !strings.HasSuffix(lines[0], "for 999 more profiles)") {
		t.Errorf("after a change: %q", lines)
	}
}

// The configuration is read and taken apart once for all, and once more after a change.
func TestPoolConfiguration(t *testing.T) {
	t.Parallel()
	conf, _ := isolate(t)
	baseEnv(t)
	p := NewPool()
	all := poolNew(t, p, make([]Spec, 10)...)
	first := p.files
	if first == nil {
		t.Fatal("nothing is kept")
	}
	atOnce(all, func(s *Source) { mustRetrieve(t, s) })
	if p.files != first {
		t.Error("it was read again without a change")
	}
	write(t, conf, "[default]\nregion = eu-west-3\n")
	atOnce(all, func(s *Source) { mustRetrieve(t, s) })
	if p.files == first || all[9].Region() != "eu-west-3" {
		t.Errorf("the region after a change is %q", all[9].Region())
	}
}

// Who wants everything new gets it, with one call for what is in common.
func TestPoolAnew(t *testing.T) {
	t.Parallel()
	poolWorld(t, func(t *testing.T, server *tally, n *pipeNet) {
		all := poolNew(t, NewPool(), many(40, Spec{Profile: "app", limits: limits{dial: n.dial}})...)
		mustRetrieve(t, all[0])
		time.Sleep(time.Minute)
		server.got()
		atOnce(all[1:], func(s *Source) {
			if _, err := s.Retrieve(refresh.Anew(t.Context())); err != nil {
				t.Error(err)
			}
		})
		if diff := cmp.Diff(map[string]int{"SSO": 1, "AssumeRole": 39}, server.got()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A source that was taken out of a list leaves nothing behind, and the last one is alone again.
func TestPoolRetire(t *testing.T) {
	t.Parallel()
	poolWorld(t, func(t *testing.T, server *tally, n *pipeNet) {
		p := NewPool()
		all := poolNew(t, p, many(3, Spec{Profile: "app", Roles: []Role{{ARN: roleA, SessionName: "job"}}, limits: limits{dial: n.dial}})...)
		var stops []func()
		for _, s := range all {
			stops = append(stops, s.Watch(func() {}))
			mustRetrieve(t, s)
		}
		stops[1]()
		stops[2]()
		server.got()
		for range 2 {
			mustRetrieve(t, all[0])
		}
		if diff := cmp.Diff(map[string]int{"SSO": 2, "AssumeRole": 4, "first hop": 2}, server.got()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		stops[0]()
		if len(p.commons) != 0 {
			t.Errorf("%d are left in common", len(p.commons))
		}
	})
}

// When the SSO session of a common base is refused, each source knows when it is over.
func TestPoolExpiry(t *testing.T) {
	t.Parallel()
	token := ssoConfig(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test", "AWS_REGION=eu-west-1")
	synctest.Test(t, func(t *testing.T) {
		server := &ssoServer{valid: "first", answer: func(w http.ResponseWriter, _ int) bool {
			return ssoRefuse(w, http.StatusBadRequest, "InvalidGrantException", "no")
		}}
		sso := serve(t, server)
		sts := serve(t, &tally{})
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			if strings.HasPrefix(address, "sso.") {
				return sso.dial(ctx, network, address)
			}
			return sts.dial(ctx, network, address)
		}
		cached(t, token, 5*time.Minute) // to be renewed, and good until then
		all := poolNew(t, NewPool(), many(2, Spec{Profile: "app", limits: limits{dial: dial}})...)
		end := time.Now().Add(5 * time.Minute).Truncate(time.Second)
		for i, s := range all {
			mustRetrieve(t, s)
			if e, ok := s.Expiry(); !ok || e.At.After(end) || !strings.Contains(e.Hint, "--profile app") {
				t.Errorf("source %d: expiry %v %v, want %s", i, e, ok, end)
			}
		}
	})
}
