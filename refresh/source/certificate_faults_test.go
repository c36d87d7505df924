package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// certificateFaults has a server misbehave in every way, between good answers.
// set is what the server answers, with status, when all is well.
func certificateFaults(t *testing.T, spec Spec, prefix string, connections func() int, answerBy func(func(http.ResponseWriter, *http.Request) bool), set string, status int) {
	var elsewhere atomic.Int32
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer trap.Close()
	host := ""
	if spec.IoT != nil {
		host = spec.IoT.Endpoint
	} else {
		host = strings.TrimPrefix(spec.RolesAnywhere.Endpoint, "https://")
	}
	text := func(status int, kind, body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	redirect := func(status int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, trap.URL+"/sessions", status) }
	}
	spec.limits.connect, spec.limits.whole, spec.limits.body = patient, patient, 64<<10
	for _, tt := range []struct {
		name      string
		fault     func(http.ResponseWriter, *http.Request)
		want      string // after prefix; "" is no error
		permanent bool
	}{
		{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no answer in time from " + host, false},
		{"slow bytes", func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for i := 0; ; i++ {
				fmt.Fprint(w, " ")
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-tick.C:
				}
			}
		}, "no answer in time from " + host, false},
		{"hung up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "connection closed without an answer from " + host, false},
		{"broken off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(set)))
			fmt.Fprint(w, set[:len(set)/2])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "incomplete answer from " + host, false},
		{"oversized", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			for range 100 {
				if _, err := fmt.Fprint(w, strings.Repeat(roleSecret+" ", 100)); err != nil {
					return
				}
			}
		}, "the answer is too long from " + host, false},
		{"500", text(500, "text/html", "<html>"+roleSecret), "HTTP 500 Internal Server Error from " + host, false},
		{"503 of AWS", text(503, "application/json", `{"message":"Service Unavailable"}`), "HTTP 503 Service Unavailable: Service Unavailable", false},
		{"429", text(429, "application/json", `{"message":"Rate exceeded"}`), "HTTP 429 Too Many Requests: Rate exceeded", false},
		{"throttling by name", text(400, "application/json", `{"__type":"com.amazonaws.x#ThrottlingException","message":"Rate exceeded"}`), "ThrottlingException: Rate exceeded", false},
		{"403 of a proxy", text(403, "text/html", "<html>no</html>"), "HTTP 403 Forbidden from " + host, true},
		{"400 of a proxy", text(400, "text/html", "<html>400 No required SSL certificate was sent</html>"), "HTTP 400 Bad Request from " + host, true},
		{"secret in an error", text(403, "application/json", `{"message":"key `+roleSecret+`"}`), "HTTP 403 Forbidden: key " + redacted, true},
		{"302", redirect(302), "HTTP 302 Found from " + host, true},
		{"307", redirect(307), "HTTP 307 Temporary Redirect from " + host, true},
		{"garbage", text(status, "text/plain", "\x00\x01"+roleSecret), "unreadable answer from " + host + " (text/plain)", false},
		{"a login page", text(status, "text/html; charset=utf-8", "<html>sign in</html>"), "unreadable answer from " + host + " (text/html)", false},
		{"nothing", text(status, "application/json", ""), "unreadable answer from " + host, false},
		{"another JSON", text(status, "application/json", `{"ok":true}`), "unreadable answer from " + host, false},
		{"JSON of other types", text(status, "application/json", `{"credentials":[1],"credentialSet":"x"}`), "unreadable answer from " + host, false},
		{"no token", text(status, "application/json", strings.Replace(set, roleToken, "", 1)), "unreadable answer from " + host, false},
		{"no secret", text(status, "application/json", strings.Replace(set, roleSecret, "", 1)), "unreadable answer from " + host, false},
		{"line break in a key", text(status, "application/json", strings.Replace(set, roleSecret, `a\nb`, 1)), "unreadable answer from " + host, false},
		{"no time", text(status, "application/json", strings.Replace(set, roleExpires.Format(time.RFC3339), "soon", 1)), "unreadable answer from " + host, false},
		{"another content type", text(status, "application/octet-stream", set), "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			late, spec := strings.HasPrefix(tt.want, "no answer"), spec
			if late {
				spec.limits.connect, spec.limits.whole = 300*time.Millisecond, 300*time.Millisecond
			}
			s := mustNew(t, spec)
			answerBy(func(w http.ResponseWriter, r *http.Request) bool {
				tt.fault(w, r)
				return true
			})
			inTime(t, func() {
				_, err := s.Retrieve(t.Context())
				if tt.want == "" {
					if err != nil {
						t.Errorf("error %v, want none", err)
					}
					return
				}
				e := failure(t, err)
				if got := strings.TrimPrefix(e.Error(), prefix); got != tt.want || e.Permanent != tt.permanent || !strings.HasPrefix(e.Error(), prefix) {
					t.Errorf("error %q, permanent %v\nwant  %q, permanent %v", e, e.Permanent, prefix+tt.want, tt.permanent)
				}
			})
			answerBy(nil)
			if !late { // a good answer may take that long, too, on a busy machine
				mustRetrieve(t, s)
			}
			eventually(t, "all connections are closed", func() bool { return connections() == 0 })
		})
	}
	if n := elsewhere.Load(); n > 0 {
		t.Errorf("%d redirects were followed", n)
	}
	t.Run("nobody there", func(t *testing.T) {
		gone := httptest.NewServer(nil)
		gone.Close()
		spec := spec
		if spec.IoT != nil {
			i := *spec.IoT
			i.Endpoint = gone.Listener.Addr().String()
			spec.IoT = &i
		} else {
			r := *spec.RolesAnywhere
			r.Endpoint = gone.URL
			spec.RolesAnywhere = &r
		}
		_, err := mustNew(t, spec).Retrieve(t.Context())
		if e := failure(t, err); e.Permanent || !strings.Contains(e.Error(), "dial tcp") {
			t.Errorf("error %q, permanent %v", e, e.Permanent)
		}
	})
	t.Run("stopped", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := mustNew(t, spec)
		answerBy(func(_ http.ResponseWriter, r *http.Request) bool { cancel(); <-r.Context().Done(); return true })
		defer answerBy(nil)
		_, err := s.Retrieve(ctx)
		if e := failure(t, err); !errors.Is(err, context.Canceled) || e.Permanent {
			t.Errorf("error %v, want that it was stopped", err)
		}
	})
}
