package source

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// An assumed lifetime begins on the clock of the server, as any expiry is on that.
func TestAssumeLifetimeOnTheServersClock(t *testing.T) {
	t.Parallel()
	isolate(t)
	setenv(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1/creds")
	synctest.Test(t, func(t *testing.T) {
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(-2*time.Hour).UTC().Format(http.TimeFormat))
			fmt.Fprintf(w, `{"AccessKeyId":"AKIA1","SecretAccessKey":%q}`, roleSecret)
		}))
		c := mustRetrieve(t, mustNew(t, Spec{AssumeLifetime: time.Hour, limits: limits{dial: n.dial}}))
		if want := time.Now().Add(-time.Hour); !c.CanExpire || c.Expires.Sub(want).Abs() > time.Second {
			t.Errorf("ends %v %s, want %s", c.CanExpire, c.Expires, want)
		}
	})
}

// What an agent gives is renewed by itself: that it had ended when a role was assumed
// with it is worth another try.
func TestEndedAtSTS(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"container", "instance", "environment"} {
		t.Run(kind, func(t *testing.T) {
			isolate(t)
			set := `{"Code":"Success","AccessKeyId":"ASIA1","SecretAccessKey":"` + roleSecret + `","Token":"` + roleToken + `","Expiration":"2100-01-01T00:00:00Z"}`
			switch kind {
			case "container":
				setenv(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+answering(t, set))
			case "instance":
				setenv(t, "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT="+answering(t, set))
			default:
				baseEnv(t)
			}
			sts := newSTS(t)
			sts.answer = func(w http.ResponseWriter, _ call) bool { return refuse(w, 403, "ExpiredToken", "x") }
			setenv(t, "AWS_ENDPOINT_URL_STS="+sts.URL)
			_, err := mustNew(t, Spec{Roles: []Role{{ARN: roleA}}, limits: limits{metadata: patient}}).Retrieve(t.Context())
			if e := failure(t, err); e.Permanent != (kind == "environment") {
				t.Errorf("error %q, permanent %v", e, e.Permanent)
			}
		})
	}
}

// An MFA session that is about to end begins no role's session.
func TestMFASessionTooShort(t *testing.T) {
	t.Parallel()
	dir := mfaEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	secret := filepath.Join(dir, "totp")
	write(t, secret, rfcSecret)
	for _, tt := range []struct {
		life time.Duration
		want int
	}{{115 * time.Second, 2}, {3 * time.Minute, 1}} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(tt.life) // else the code is one of the bubble before
			sts, n, _ := mfaWorld(t, tt.life)
			src := mustNew(t, Spec{MFA: MFA{Serial: device, TOTPFile: secret}, Roles: []Role{{ARN: roleA}}, limits: limits{dial: n.dial}})
			mustRetrieve(t, src)
			mustRetrieve(t, src)
			if sts.sessions != tt.want {
				t.Errorf("%d sessions of %s for two retrievals, want %d", sts.sessions, tt.life, tt.want)
			}
		})
	}
}

// AWS takes no code that is older than the last one: after a step back of the clock one
// waits for a newer one.
func TestOlderCode(t *testing.T) {
	t.Parallel()
	mfaEnv(t)
	u, err := openUsedCodes(t.Context(), envOf(t).user(), device)
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	now := time.Unix(1_900_000_000, 0)
	if u.newerUsed(now) {
		t.Error("a code was used before any was")
	}
	u.markUsed("123456", now)
	for steps, want := range map[int]bool{-3: false, -2: true, -1: true, 0: true, 1: false, 2: false} {
		if got := u.newerUsed(now.Add(time.Duration(steps) * period)); got != want {
			t.Errorf("%d periods later: %v, want %v", steps, got, want)
		}
	}
}

// A code that was typed long ago is none that AWS would take: nobody is to wonder why
// it was refused.
func TestTypedLongAgo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		wait time.Duration
		want string // "" is credentials
	}{{promptedCodeAge - 10*time.Second, ""}, {promptedCodeAge + 10*time.Second, "nobody can be asked"}} {
		t.Run(tt.wait.String(), func(t *testing.T) {
			mfaEnv(t)
			setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
			synctest.Test(t, func(t *testing.T) {
				sts := &mfaSTS{life: time.Hour}
				n := serve(t, sts)
				n.down.Store(true)
				var labels []string
				src := mustNew(t, Spec{MFA: MFA{Serial: device}, Prompt: typing(&labels, "123456"), Roles: []Role{{ARN: roleA}}, limits: limits{dial: n.dial}})
				if err := src.Authenticate(context.Background()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(tt.wait)
				n.down.Store(false)
				_, err := src.Retrieve(t.Context())
				if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				if (sts.sessions > 0) != (tt.want == "") {
					t.Errorf("%d sessions", sts.sessions)
				}
			})
		})
	}
}

// A token of SSO that lives for a minute is not renewed all the time.
func TestSSOShortToken(t *testing.T) {
	t.Parallel()
	path := ssoConfig(t)
	synctest.Test(t, func(t *testing.T) {
		server := &ssoServer{life: time.Minute}
		n := serve(t, server)
		cached(t, path, -time.Hour)
		src := mustNew(t, Spec{Profile: "app", limits: limits{dial: n.dial}})
		for _, step := range []struct {
			wait time.Duration
			want int
		}{{0, 1}, {20 * time.Second, 1}, {20 * time.Second, 2}} {
			time.Sleep(step.wait)
			mustRetrieve(t, src)
			if server.renewed != step.want {
				t.Errorf("after %s: renewed %d times, want %d", step.wait, server.renewed, step.want)
			}
		}
	})
}

// If asking for less is refused as well, what was said first counts.
func TestFirstRefusal(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	sts := newSTS(t)
	sts.answer = func(w http.ResponseWriter, c call) bool {
		if c.Get("DurationSeconds") == "3600" {
			return refuse(w, 400, "ValidationError", "second")
		}
		return refuse(w, 400, "ValidationError", "first")
	}
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	_, err := mustNew(t, Spec{Roles: []Role{{ARN: roleA, Duration: 2 * time.Hour}}}).Retrieve(t.Context())
	if e := failure(t, err); !strings.HasSuffix(e.Error(), "ValidationError: first") {
		t.Errorf("error %q, want the first", e)
	}
}

// The end of a certificate is told on the local clock, by which a person goes.
func TestCertificateEndsHere(t *testing.T) {
	t.Parallel()
	isolate(t)
	f := newAnywhere(t)
	f.ahead = 4 * time.Minute
	src := mustNew(t, f.spec(t, ecKey(t)))
	before, _ := src.Expiry()
	mustRetrieve(t, src)
	after, known := src.Expiry()
	if moved := after.At.Sub(before.At) + f.ahead; !known || moved.Abs() > 30*time.Second {
		t.Errorf("the end moved by %s, want -%s, as the server's clock is ahead", after.At.Sub(before.At), f.ahead)
	}
}

// A machine that is busy answers late, and is asked with more patience from then on. What
// it says to a request without a session token is not what is wrong.
func TestSlowMetadata(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, method, path string
		fault              func(http.ResponseWriter)
		want               string
	}{
		{"token", "PUT", "", slowly, ""},
		{"roles", "GET", "security-credentials/", slowly, ""},
		{"credentials", "GET", "instance-role", slowly, ""},
		{"no token", "PUT", "", func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }, "the instance metadata service gave no session token, and refuses what comes without one"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			setenv(t, "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1")
			synctest.Test(t, func(t *testing.T) {
				n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == tt.method && strings.HasSuffix(r.URL.Path, tt.path) {
						tt.fault(w)
					}
					switch {
					case r.Method == http.MethodPut:
						w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
						fmt.Fprint(w, "metadata-token")
					case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "metadata-token":
						w.WriteHeader(http.StatusUnauthorized)
					case strings.HasSuffix(r.URL.Path, "security-credentials/"):
						fmt.Fprint(w, "instance-role")
					default:
						fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"ASIA1","SecretAccessKey":%q,"Token":%q,"Expiration":"2100-01-01T00:00:00Z"}`, roleSecret, roleToken)
					}
				}))
				src := mustNew(t, Spec{limits: limits{dial: n.dial}})
				for range 2 {
					if _, err := src.Retrieve(t.Context()); tt.want == "" {
						if err != nil {
							t.Error(err)
						}
					} else if e := failure(t, err); !strings.HasSuffix(e.Error(), tt.want) || e.Permanent {
						t.Errorf("error %q, permanent %v; want …%q", e, e.Permanent, tt.want)
					}
				}
				time.Sleep(time.Minute) // the server is still at the first
			})
		})
	}
}

func slowly(http.ResponseWriter) { time.Sleep(metadataAnswer + 100*time.Millisecond) }
