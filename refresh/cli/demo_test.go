package cli

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/simulator"
	"brs-exec.example/brs-exec/writer/process"
)

// A client may fail here only because it wants a longer lifetime than 20 seconds.
func TestDemoAdvisesLongerLifetime(t *testing.T) {
	const advice = "some clients refuse a lifetime of only"
	for _, tt := range []struct {
		name     string
		lifetime time.Duration
		calls    []simulator.Call
		want     int
	}{
		{"accepted", demoCommandLifetime, []simulator.Call{{Number: 1}, {Number: 2}}, 0},
		{"refused for its rights", demoCommandLifetime, []simulator.Call{{Number: 1, Refused: "AccessDenied"}}, 0},
		{"expired, again and again", demoCommandLifetime, []simulator.Call{{Number: 1, Refused: "ExpiredToken"}, {Number: 1, Refused: "ExpiredTokenException"}}, 1},
		{"expired, of a longer lifetime", demoLonger, []simulator.Call{{Number: 1, Refused: "ExpiredToken"}}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			n := &narrator{w: &out, shown: shown{lifetime: tt.lifetime}}
			for _, call := range tt.calls {
				call.KeyID, call.Service, call.Action = "ASIASIMULATOR0000001", "logs", "AVeryLongActionThatNoTerminalOf80ColumnsHasRoomFor"
				n.call(call)
			}
			text := strings.Join(strings.Fields(out.String()), " ")
			if got := strings.Count(text, advice); got != tt.want {
				t.Errorf("advised %d times, want %d:\n%s", got, tt.want, out.String())
			}
			if want := strings.Count(text, "the command's call with ASIA…0001: "); want != len(tt.calls) {
				t.Errorf("it is not said of each call whose it is:\n%s", out.String())
			}
			fits(t, strings.Split(out.String(), "\n"), defaultWidth, 0)
		})
	}
}

// fits fails for lines that are wider than the terminal, and for more than it has rows.
func fits(t *testing.T, lines []string, width, rows int) {
	t.Helper()
	if rows > 0 && len(lines) > rows {
		t.Errorf("%d lines for %d rows:\n%s", len(lines), rows, strings.Join(lines, "\n"))
	}
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > width {
			t.Errorf("%d columns of %d: %q", n, width, line)
		}
	}
}

// handler has an AWS client call a server without a network, on which virtual time would
// not wait.
type handler struct{ http.Handler }

func (h handler) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// assume asks the simulator for a session.
type assume struct{ aws.Config }

func (a assume) Retrieve(ctx context.Context) (c aws.Credentials, err error) {
	out, err := sts.NewFromConfig(a.Config).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String(demoRole), RoleSessionName: aws.String("demo")})
	if err != nil {
		return c, err
	}
	got := out.Credentials
	return aws.Credentials{AccessKeyID: *got.AccessKeyId, SecretAccessKey: *got.SecretAccessKey, SessionToken: *got.SessionToken, CanExpire: true, Expires: *got.Expiration}, nil
}

// held is a delivery from which the job retrieves, with the expiry that a run's deliveries report.
type held struct {
	mu     sync.Mutex
	creds  aws.Credentials
	window process.Window
}

func (h *held) Deliver(_ context.Context, creds map[string]aws.Credentials) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.creds = creds["demo"]
	h.window = process.NewWindow(time.Now(), h.creds.Expires)
	return nil
}

func (h *held) Retrieve(context.Context) (aws.Credentials, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	creds := h.creds
	creds.Expires, _ = h.window.Reported(time.Now())
	return creds, nil
}

// demoInVirtualTime runs the demo's own job on the real simulator and engine, and returns what
// was told. see is called many times a second.
func demoInVirtualTime(t *testing.T, n *narrator, see func()) (took time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		server, err := simulator.Listen(n.lifetime, n.call)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer func() { // closes the port
			cancel()
			server.Run(ctx)
		}()
		cfg := aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(server.URL()), HTTPClient: handler{server}}
		base, job := cfg, cfg
		keys := server.Bootstrap()
		base.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil })
		delivery := &held{}
		job.Credentials = aws.NewCredentialsCache(delivery, inTime(n.lifetime))
		engine := refresh.New(refresh.Options{
			Profiles: []refresh.Profile{{Name: "demo", Source: assume{base}}}, Deliveries: []refresh.Delivery{delivery}, Notify: n.event,
		})
		began := time.Now()
		n.begin("http://127.0.0.1:12345")
		go engine.Run(ctx)
		<-engine.Ready()
		done := make(chan error, 1)
		go func() { done <- demoJob(ctx, job, n.lifetime) }()
		tick := time.NewTicker(demoFrame)
		defer tick.Stop()
		for {
			see()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("the job: %v", err)
				}
				see()
				took = time.Since(began)
				return
			case <-tick.C:
			}
		}
	})
	return took
}

// TestDemoSchedule: within half a minute several sessions expire, whatever the chance in the times of
// refreshes; the job uses most of them and is never refused, keys that were exported at the start
// are. All of that fits into terminals of any size that is allowed.
func TestDemoSchedule(t *testing.T) {
	for range 10 {
		var out strings.Builder
		n := &narrator{w: &out, own: true, shown: shown{lifetime: demoLifetime}}
		took := demoInVirtualTime(t, n, func() {
			fits(t, n.draw(drawing{now: time.Now(), width: 7, rows: 3}), 7, 0) // it was larger at the start
			for _, size := range [][2]int{{60, 22}, {80, 24}, {120, 50}} {
				d := drawing{now: time.Now(), width: size[0], rows: size[1]}
				lines := n.draw(d)
				summary := n.summary(d)
				fits(t, append(lines, summary...), d.width, 0)
				fits(t, lines, d.width, d.rows)
				d.rows -= len(summary) + 2
				fits(t, append(n.draw(d), summary...), d.width, size[1]-2)
			}
		})
		if len(n.sessions) == 0 {
			t.Fatal("no session was delivered")
		}
		if took > 30*time.Second || took < 20*time.Second {
			t.Errorf("it took %v, want at most half a minute", took)
		}
		used := map[string]bool{}
		for _, c := range n.calls {
			used[c.job.key] = true
		}
		_, refused := n.count(func(c demoCall) answer { return c.job })
		ok, exported := n.count(func(c demoCall) answer { return c.exported })
		if refused > 0 || ok < 5 || exported < 5 || len(used) < 4 {
			t.Errorf("%d calls of the job were refused; it used %d sessions; with exported keys %d were ok and %d refused", refused, len(used), ok, exported)
		}
		over := 0
		for _, s := range n.sessions {
			if !s.expires.After(n.began.Add(took)) {
				over++
			}
		}
		if over < 2 {
			t.Errorf("%d sessions have expired, want two: %+v", over, n.sessions)
		}
		text := out.String()
		fits(t, strings.Split(text, "\n"), defaultWidth, 0)
		if strings.Count(text, "\n") > 25 || strings.Count(text, "ExpiredToken") != 1 || !strings.Contains(text, "keys exported at the start would get ExpiredToken") || strings.Contains(text, "refused") {
			t.Errorf("told:\n%s", text)
		}
	}
}

// demoStates are moments of a demo.
func demoStates() (names []string, states []*shown, at []time.Time) {
	began := statusNow
	key := func(i int) string { return refresh.ShortKeyID("ASIASIMULATOR000000" + string(rune('0'+i))) }
	second := func(s float64) time.Time { return began.Add(time.Duration(s * float64(time.Second))) }
	state := func(name string, now float64, sessions, calls int) {
		s := &shown{lifetime: demoLifetime}
		for i := range sessions {
			from := 4.7 * float64(i)
			s.sessions = append(s.sessions, demoSession{key(i + 1), second(from), second(from + 10).Truncate(time.Second), second(from + 4.7)})
		}
		for i := range calls {
			s.began = second(0.1)
			c := demoCall{at: second(0.1 + float64(i)), job: answer{key: key(int((float64(i)-1.3)/4.7) + 1)}, exported: answer{key: key(1)}}
			if i >= 10 {
				c.exported.refused = "ExpiredToken"
			}
			if i == calls-1 && name == "a call under way" {
				c.exported = answer{}
			}
			s.calls = append(s.calls, c)
		}
		names, states, at = append(names, name), append(states, s), append(at, second(now))
	}
	state("before the first credentials", 0, 0, 0)
	state("at the start", 0.2, 1, 1)
	state("a refresh under way", 4.75, 1, 5)
	state("two sessions", 7.3, 2, 8)
	state("a call under way", 9.12, 2, 10)
	state("after the first expiry", 11.8, 3, 12)
	state("at the end", 25.1, 6, 25)
	return names, states, at
}

// TestDemoScreen: what there is to see at some moments, in three widths, three zones and
// colours.
func TestDemoScreen(t *testing.T) {
	zone := func(name string, hours float64) *time.Location { return time.FixedZone(name, int(hours*3600)) }
	for _, tt := range []struct {
		golden string
		d      drawing
		zone   *time.Location
		only   string // "" for all moments
	}{
		{"demo-60.golden", drawing{width: 60, rows: 22}, time.UTC, ""},
		{"demo-80.golden", drawing{width: 80, rows: 24}, time.UTC, ""},
		{"demo-120.golden", drawing{width: 120, rows: 30}, time.UTC, ""},
		{"demo-new-york.golden", drawing{width: 80, rows: 24}, zone("EST", -5), "after the first expiry"},
		{"demo-kolkata.golden", drawing{width: 80, rows: 24}, zone("IST", 5.5), "after the first expiry"},
		{"demo-colour.golden", drawing{width: 80, rows: 24, colour: true}, time.UTC, "after the first expiry"},
	} {
		var b strings.Builder
		names, states, at := demoStates()
		for i, s := range states {
			if tt.only != "" && names[i] != tt.only {
				continue
			}
			tt.d.now = at[i].In(tt.zone)
			lines := tt.d.demo(s)
			if names[i] == "at the end" {
				last := tt.d
				summary := tt.d.demoSummary(s)
				last.rows -= len(summary) + 2
				lines = append(append(last.demo(s), ""), summary...)
			}
			if !tt.d.colour {
				fits(t, lines, tt.d.width, tt.d.rows)
			}
			b.WriteString("== " + names[i] + "\n" + strings.Join(lines, "\n") + "\n")
		}
		golden(t, tt.golden, strings.ReplaceAll(b.String(), "\x1b", "ESC"))
	}
}

// TestRemaining: what is left of a lifetime is something as long as it is not over.
func TestRemaining(t *testing.T) {
	for _, tt := range []struct {
		issued, expires time.Duration // from now
		want            int
	}{
		{0, 10 * time.Second, 10}, {-time.Second, 9 * time.Second, 10}, {-1100 * time.Millisecond, 8900 * time.Millisecond, 9}, {-5 * time.Second, 4 * time.Second, 5},
		{-10 * time.Second, time.Millisecond, 1}, {-10 * time.Second, 0, 0}, {-20 * time.Second, -10 * time.Second, 0},
		{time.Second, 11 * time.Second, 10}, {time.Second, time.Second, 0}, {-12 * time.Hour, 12 * time.Hour, 6},
	} {
		if got := remaining(10, statusNow.Add(tt.issued), statusNow.Add(tt.expires), statusNow); got != tt.want {
			t.Errorf("from %v to %v: %d, want %d", tt.issued, tt.expires, got, tt.want)
		}
	}
}

// TestRecording: the picture in the README is of the present screen. It is of no one moment, so
// that what always stands there is looked for, and the summary.
func TestRecording(t *testing.T) {
	svg, err := os.ReadFile("../../docs/demo.svg")
	if err != nil {
		t.Fatal(err)
	}
	if len(svg) > 150_000 {
		t.Errorf("it has %d bytes", len(svg))
	}
	seen := map[string]bool{}
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.CharData:
			seen[string(token)] = true
		case xml.StartElement:
			for _, a := range token.Attr {
				if a.Name.Local == "href" && !strings.HasPrefix(a.Value, "#") || token.Name.Local == "script" {
					t.Errorf("%s %s: it needs more than itself", token.Name.Local, a.Value)
				}
			}
		}
	}
	words := []string{demoTitle, demoAbout, demoHeld, demoLeft, demoWith, demoWithout, "ok", "ExpiredToken", "25s/25s", demoWhere(demoLifetime)}
	names, states, at := demoStates()
	end := slices.Index(names, "at the end")
	for _, line := range (drawing{now: at[end], width: defaultWidth}).demoSummary(states[end])[2:] { // without the numbers
		for word := range strings.SplitSeq(line, "  ") {
			words = append(words, strings.TrimSpace(word))
		}
	}
	for _, word := range words {
		if word != "" && !seen[word] {
			t.Errorf("%q is not in the recording: run .ci/tools/record-demo, and look at it", word)
		}
	}
}
