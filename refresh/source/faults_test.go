package source

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// webPage is what something in between says, which nobody wants to read in an error.
const webPage = "<body>Sign in: " + shortSecret

// served is a kind of source that asks a server over HTTP.
type served struct {
	name string
	// spec makes the source, whose server is at host. It is not called in a bubble.
	spec func(t *testing.T) Spec
	// good answers as the server does when all is well.
	good func(w http.ResponseWriter, r *http.Request)
	host string
	// on says which requests a fault is in the place of; nil: all.
	on func(r *http.Request) bool
}

func servedKinds() []served {
	sts := func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		stsAnswer(w, r.Form.Get("Action"), time.Hour)
	}
	set := func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"ASIA%d","SecretAccessKey":%q,"Token":%q,"Expiration":%q}`,
			stsKeys.Add(1), roleSecret, roleToken, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}
	metadata := func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut:
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			fmt.Fprint(w, "metadata-token")
		case strings.HasSuffix(r.URL.Path, "security-credentials/"):
			fmt.Fprint(w, "instance-role")
		case strings.HasSuffix(r.URL.Path, "security-credentials/instance-role"):
			set(w)
		default:
			fmt.Fprint(w, `{"region":"eu-west-2"}`)
		}
	}
	instance := func(t *testing.T) Spec {
		setenv(t, "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1")
		return Spec{}
	}
	return []served{
		{"role", func(t *testing.T) Spec {
			baseEnv(t)
			setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
			return Spec{Roles: []Role{{ARN: roleA}}}
		}, sts, "sts.test", nil},
		{"MFA session", func(t *testing.T) Spec {
			dir := mfaEnv(t)
			setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
			secret := filepath.Join(dir, "totp")
			write(t, secret, rfcSecret)
			return Spec{MFA: MFA{Serial: device, TOTPFile: secret}}
		}, sts, "sts.test", nil},
		{"web identity", func(t *testing.T) Spec {
			setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
			path := filepath.Join(t.TempDir(), "token")
			write(t, path, jwt)
			return Spec{WebIdentity: WebIdentity{TokenFile: path}, Roles: []Role{{ARN: roleA}}}
		}, sts, "sts.test", nil},
		{"web identity of the environment", func(t *testing.T) Spec {
			path := filepath.Join(t.TempDir(), "token")
			write(t, path, jwt)
			setenv(t, "AWS_ENDPOINT_URL=http://sts.test", "AWS_WEB_IDENTITY_TOKEN_FILE="+path, "AWS_ROLE_ARN="+roleA)
			return Spec{}
		}, sts, "sts.test", nil},
		{"container", func(t *testing.T) Spec {
			setenv(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1/creds", "AWS_CONTAINER_AUTHORIZATION_TOKEN="+shortSecret)
			return Spec{}
		}, func(w http.ResponseWriter, _ *http.Request) { set(w) }, "127.0.0.1", nil},
		{"instance", instance, metadata, "127.0.0.1", nil},
		{"instance, the credentials alone", instance, metadata, "127.0.0.1", func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "instance-role") }},
	}
}

// untyped answers with a content type that says nothing.
type untyped struct{ http.ResponseWriter }

// Write implements io.Writer.
func (u untyped) Write(b []byte) (int, error) {
	u.Header().Set("Content-Type", "application/octet-stream")
	return u.ResponseWriter.Write(b)
}

// Whatever a server does instead of answering, a retrieval ends in time with one
// line that says what happened and is no secret, and the next one works.
func TestFaults(t *testing.T) {
	t.Parallel()
	text := func(status int, kind, body string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	redirect := func(status int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.2/elsewhere?"+shortSecret, status)
		}
	}
	const late, cut, unread = "no answer in time from HOST", "incomplete answer from HOST", "unreadable answer from HOST"
	faults := []struct {
		name      string
		fault     func(http.ResponseWriter, *http.Request)
		want      string // what the error ends with
		permanent bool
		instance  string // the same for an instance's role, where it is another
	}{
		{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, late, false, ""},
		{"slow bytes", func(w http.ResponseWriter, r *http.Request) {
			for range 600 {
				fmt.Fprint(w, " ")
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
					return
				case <-time.After(time.Second):
				}
			}
		}, late, false, ""},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "connection closed without an answer from HOST", false, ""},
		{"breaks off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"Code":"Success","AccessKeyId":"ASIA1","SecretAccessKey":"`+roleSecret)
		}, cut, false, ""},
		{"oversized", text(200, "application/json", `{"Code":"Success","AccessKeyId":"`+strings.Repeat("A", 2<<20)), "the answer is too long from HOST", false, ""},
		{"400", text(400, "text/html", "<html>"+webPage), "HTTP 400 Bad Request from HOST", true, "the instance metadata service answers 400 Bad Request"},
		{"403", text(403, "text/html", "<html>"+webPage), "HTTP 403 Forbidden from HOST", true, "the instance metadata service answers 403 Forbidden"},
		{"404", text(404, "text/html", "<html>"+webPage), "HTTP 404 Not Found from HOST", true, "this instance has no role"},
		{"429", text(429, "text/html", "<html>"+webPage), "HTTP 429 Too Many Requests from HOST", false, "the instance metadata service answers 429 Too Many Requests"},
		{"500", text(500, "text/html", "<html>"+webPage), "HTTP 500 Internal Server Error from HOST", false, "the instance metadata service answers 500 Internal Server Error"},
		{"503", text(503, "text/html", "<html>"+webPage), "HTTP 503 Service Unavailable from HOST", false, "the instance metadata service answers 503 Service Unavailable"},
		{"302", redirect(302), "HTTP 302 Found from HOST", true, ""},
		{"307", redirect(307), "HTTP 307 Temporary Redirect from HOST", true, ""},
		{"308", redirect(308), "HTTP 308 Permanent Redirect from HOST", true, ""},
		{"redirect to nowhere", text(302, "text/plain", ""), "HTTP 302 Found from HOST", true, ""},
		{"garbage", text(200, "application/octet-stream", "\x00\x01\xff"+shortSecret), unread, false, ""},
		{"login page", text(200, "text/html", "<html>"+webPage), unread, false, ""},
		{"nothing", text(200, "application/json", ""), unread, false, ""},
		{"another content type", nil, "", false, ""},
		{"other JSON", text(200, "application/json", `{"SecretAccessKey":["`+shortSecret+`"]}`), unread, false, ""},
	}
	for _, kind := range servedKinds() {
		t.Run(kind.name, func(t *testing.T) {
			for _, tt := range faults {
				t.Run(tt.name, func(t *testing.T) {
					isolate(t)
					spec := kind.spec(t)
					synctest.Test(t, func(t *testing.T) {
						var bad atomic.Bool
						var elsewhere atomic.Int32
						n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
							r.ParseForm() // only then is it noticed that the client has gone
							time.Sleep(time.Millisecond)
							switch {
							case r.URL.Path == "/elsewhere":
								elsewhere.Add(1)
								kind.good(w, r)
							case bad.Load() && (kind.on == nil || kind.on(r)) && tt.fault != nil:
								tt.fault(w, r)
							case bad.Load():
								kind.good(untyped{w}, r)
							default:
								kind.good(w, r)
							}
						}))
						spec := spec
						spec.limits.dial = n.dial
						src := mustNew(t, spec)
						bad.Store(true)
						began := time.Now()
						_, err := src.Retrieve(t.Context())
						if tt.fault == nil {
							if err != nil {
								t.Errorf("error %v, want none", err)
							}
							return
						}
						e := failure(t, err)
						want, permanent := tt.want, tt.permanent
						if strings.HasPrefix(kind.name, "instance") && tt.instance != "" {
							// Nothing there is nothing that a person can mend, but for 404.
							want, permanent = tt.instance, tt.name == "404"
						}
						if kind.on == nil && strings.HasPrefix(kind.name, "instance") && (tt.name == "silence" || tt.name == "hangs up") {
							want, permanent = "no instance metadata service answers", true
						}
						if want = strings.ReplaceAll(want, "HOST", kind.host); !strings.HasSuffix(e.Error(), want) || e.Permanent != permanent {
							t.Errorf("error %q, permanent %v; want …%q, %v", e, e.Permanent, want, permanent)
						}
						if took := time.Since(began); took > 45*time.Second {
							t.Errorf("took %s: the engine has given up by then", took)
						}
						if n := elsewhere.Load(); n > 0 {
							t.Errorf("%d redirects were followed", n)
						}
						bad.Store(false)
						mustRetrieve(t, src)
					})
				})
			}
		})
	}
}
