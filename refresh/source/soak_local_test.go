package source

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"brs-exec.example/brs-exec/refresh"
)

// rotating is a metadata service that issues new credentials every so often, which last
// for life. until ends that: afterwards it gives the last one for ever.
func rotating(began time.Time, every, life time.Duration, until *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut:
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			fmt.Fprint(w, "metadata-token")
		case strings.HasSuffix(r.URL.Path, "security-credentials/"):
			fmt.Fprint(w, "instance-role")
		case strings.HasSuffix(r.URL.Path, "security-credentials/instance-role"):
			i := time.Since(began) / every
			if last := time.Duration(until.Load()); last > 0 {
				i = min(i, last/every)
			}
			fmt.Fprintf(w, `{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIA%d","SecretAccessKey":%q,"Token":%q,"Expiration":%q}`,
				i, roleSecret, roleToken, began.Add(i*every+life).UTC().Format(time.RFC3339))
		default:
			fmt.Fprint(w, `{"region":"eu-west-2"}`)
		}
	})
}

// Two weeks of an instance, whose role's credentials last for six hours and have 30 minutes
// left when the next one is there.
func TestMetadataSoak(t *testing.T) {
	t.Parallel()
	const life, every = 6*time.Hour + 30*time.Minute, 6 * time.Hour
	isolate(t)
	setenv(t, "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1")
	synctest.Test(t, func(t *testing.T) {
		n := serve(t, rotating(time.Now(), every, life, &atomic.Int64{}))
		soak(t, mustNew(t, Spec{limits: limits{dial: n.dial}}), n, 18*time.Minute, 14*4, 14*4+1)
	})
}

// Static stability: while EC2 can issue no new credentials the metadata service gives the
// last one, also when that has ended. It is no fresh one: what is held keeps the end
// that it has, that it has ended is said once, and the next one is there within a minute.
func TestMetadataStability(t *testing.T) {
	t.Parallel()
	const life, every = 6*time.Hour + 30*time.Minute, 6 * time.Hour
	isolate(t)
	setenv(t, "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1")
	synctest.Test(t, func(t *testing.T) {
		var until, asked atomic.Int64
		until.Store(int64(every)) // the second credentials are the last ones
		began := time.Now()
		service := rotating(began, every, life, &until)
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			service.ServeHTTP(w, r)
		}))
		var expired []string
		d := engine(t, mustNew(t, Spec{limits: limits{dial: n.dial}}), func(e refresh.Event) {
			switch e.Kind {
			case refresh.Expired:
				expired = append(expired, time.Since(began).Round(time.Minute).String())
			case refresh.Failed:
				t.Errorf("%s: failed, although the service answers: %v", e.Time, e.Err)
			}
		})
		time.Sleep(20 * time.Hour)
		synctest.Wait()
		second := began.Add(every + life)
		if c, count := d.get(); count != 2 || c.AccessKeyID != "ASIA1" || !c.Expires.Equal(second) {
			t.Errorf("%d credentials, %s until %s; want the second, until %s", count, c.AccessKeyID, c.Expires, second)
		}
		if want := []string{(every + life).String()}; fmt.Sprint(expired) != fmt.Sprint(want) {
			t.Errorf("expired after %q, want %q", expired, want)
		}
		if n := asked.Load(); n > 20*60*4*3 {
			t.Errorf("%d requests in 20 h", n)
		}
		until.Store(0)
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if c, _ := d.get(); c.AccessKeyID != "ASIA3" {
			t.Errorf("holds %s a minute after there is a new one", c.AccessKeyID)
		}
	})
}

// Two weeks of sources that run a program (a profile's credential_process is run in
// the same way): each run is a process, whose answer is
// on the clock of the test because it prints a file.
func TestProgramSoak(t *testing.T) {
	t.Parallel()
	const life = time.Hour
	set := func() string {
		return fmt.Sprintf(`{"Version":1,"AccessKeyId":"ASIA%d","SecretAccessKey":"%s","SessionToken":"%s","Expiration":"%s"}`,
			stsKeys.Add(1), roleSecret, roleToken, time.Now().Add(life).UTC().Format(time.RFC3339))
	}
	token := func() string { return fmt.Sprintf("%s.%d", jwt, time.Now().Unix()) }
	tests := []struct {
		name   string
		spec   func(path string) Spec
		prints func() string
	}{
		{"command", func(path string) Spec { return Spec{Command: []string{"cat", path}} }, set},
		{"token command", func(path string) Spec {
			return Spec{WebIdentity: WebIdentity{Command: []string{"cat", path}}, Roles: []Role{{ARN: roleA}}}
		}, token},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
			path := filepath.Join(t.TempDir(), "output")
			spec := tt.spec(path)
			synctest.Test(t, func(t *testing.T) {
				n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					r.ParseForm()
					var made int64
					fmt.Sscanf(strings.TrimPrefix(r.Form.Get("WebIdentityToken"), jwt+"."), "%d", &made)
					if time.Now().Unix()-made > 300 {
						refuse(w, 400, "ExpiredTokenException", "Token expired")
						return
					}
					stsAnswer(w, r.Form.Get("Action"), life)
				}))
				write(t, path, tt.prints())
				spec.limits = limits{dial: n.dial, pollOnly: true}
				minute := 0
				soakOver(t, mustNew(t, spec), func(down bool) {
					// Called each minute.
					if minute++; down {
						os.Remove(path) // the program fails
					} else if _, err := os.Stat(path); err != nil || minute%4 == 0 {
						write(t, path+".new", tt.prints())
						if err := os.Rename(path+".new", path); err != nil {
							t.Error(err)
						}
					}
				}, 18*time.Minute, 14*24*2, 14*24*3)
			})
		})
	}
}

// Two weeks of two sources, of which the first is refused for half of each day.
func TestFallbackSoak(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, jwt)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		used := map[string]int{}
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.ParseForm()
			op := r.Form.Get("Action")
			if time.Since(began)/(12*time.Hour)%2 == 1 && op == "AssumeRoleWithWebIdentity" {
				refuse(w, 403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
				return
			}
			used[op]++ // one at a time: retrievals queue
			stsAnswer(w, op, time.Hour)
		}))
		src := mustNew(t, Spec{
			WebIdentity: WebIdentity{TokenFile: path}, Roles: []Role{{ARN: roleA}}, limits: limits{dial: n.dial, pollOnly: true},
			Else: []Spec{{Roles: []Role{{ARN: roleA}}}},
		})
		soak(t, src, n, 18*time.Minute, 14*24*2, 14*24*3)
		if first, second := used["AssumeRoleWithWebIdentity"], used["AssumeRole"]; first < 14*24 || second < 14*24 {
			t.Errorf("%d credentials of the first source and %d of the second, want half of the time each", first, second)
		}
	})
}
