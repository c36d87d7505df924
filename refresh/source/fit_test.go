package source

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"brs-exec.example/brs-exec/refresh"
)

// answering is a server that gives the same answer to everything.
func answering(t *testing.T, body string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut:
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			fmt.Fprint(w, "metadata-token")
		case strings.HasSuffix(r.URL.Path, "security-credentials/"):
			fmt.Fprint(w, "instance-role")
		default:
			fmt.Fprint(w, body)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// Temporary keys without their token are of use to nobody, and are refused wherever
// they come from.
func TestTokenless(t *testing.T) {
	t.Parallel()
	const json = `{"Code":"Success","AccessKeyId":"ASIA1","SecretAccessKey":"` + roleSecret + `","Expiration":"2100-01-01T00:00:00Z"}`
	const xml = `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>` + roleSecret + `</SecretAccessKey><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`
	const ini = "aws_access_key_id = ASIA1\naws_secret_access_key = " + roleSecret + "\n"
	env := func(t *testing.T) {
		setenv(t, "AWS_ACCESS_KEY_ID=ASIA1", "AWS_SECRET_ACCESS_KEY="+roleSecret)
	}
	tests := []struct {
		name string
		spec func(t *testing.T, conf string) Spec
		hint string
	}{
		{"environment", func(t *testing.T, _ string) Spec { env(t); return Spec{} }, "AWS_SESSION_TOKEN"},
		{"environment, with a role", func(t *testing.T, _ string) Spec { env(t); return Spec{Roles: []Role{{ARN: roleA}}} }, "AWS_SESSION_TOKEN"},
		{"profile", func(t *testing.T, conf string) Spec { write(t, conf, "[default]\n"+ini); return Spec{} }, "aws_session_token"},
		{"command", func(t *testing.T, _ string) Spec { return Spec{Command: helperCommand("print", json)} }, "SessionToken"},
		{"command, lines", func(t *testing.T, _ string) Spec { return Spec{Command: helperCommand("print", ini)} }, "AWS_SESSION_TOKEN"},
		{"container", func(t *testing.T, _ string) Spec {
			setenv(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+answering(t, json))
			return Spec{}
		}, "ASIA"},
		{"instance", func(t *testing.T, _ string) Spec {
			setenv(t, "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT="+answering(t, json))
			return Spec{}
		}, "ASIA"},
		{"role", func(t *testing.T, _ string) Spec {
			baseEnv(t)
			setenv(t, "AWS_ENDPOINT_URL_STS="+answering(t, xml))
			return Spec{Roles: []Role{{ARN: roleA}}}
		}, "ASIA"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conf, _ := isolate(t)
			setenv(t, "AWS_REGION=eu-west-1")
			spec := tt.spec(t, conf)
			spec.limits.metadata = patient
			_, err := mustNew(t, spec).Retrieve(t.Context())
			e := failure(t, err)
			if !strings.Contains(e.Error(), errTokenless.Error()) || !e.Permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q, permanent %v, hint %q; want a permanent one about the token, %q", e, e.Permanent, e.Hint, tt.hint)
			}
		})
	}
}

// The year 1 is what some programs have for no time at all. It must not become an end
// that never comes.
func TestNoTime(t *testing.T) {
	t.Parallel()
	json := func(end string) string {
		return `{"Code":"Success","AccessKeyId":"ASIA1","SecretAccessKey":"` + roleSecret + `","Token":"` + roleToken + `"` + end + `}`
	}
	const no = `,"Expiration":"0001-01-01T00:00:00Z"`
	const xml = `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>` + roleSecret + `</SecretAccessKey><SessionToken>` + roleToken + `</SessionToken><Expiration>0001-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`
	container := func(body string) func(t *testing.T) Spec {
		return func(t *testing.T) Spec {
			setenv(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+answering(t, body))
			return Spec{}
		}
	}
	instance := func(body string) func(t *testing.T) Spec {
		return func(t *testing.T) Spec {
			setenv(t, "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT="+answering(t, body))
			return Spec{}
		}
	}
	tests := []struct {
		name string
		spec func(t *testing.T) Spec
		want string // "": credentials without an expiry
	}{
		{"role", func(t *testing.T) Spec {
			baseEnv(t)
			setenv(t, "AWS_ENDPOINT_URL_STS="+answering(t, xml))
			return Spec{Roles: []Role{{ARN: roleA}}}
		}, "unreadable answer"},
		{"container", container(json(no)), "whose expiry is not a time"},
		{"container, none", container(json("")), ""},
		{"instance", instance(json(no)), "whose expiry is not a time"},
		{"instance, none", instance(json("")), ""},
		{"command", func(t *testing.T) Spec { return Spec{Command: helperCommand("print", json(no))} }, "prints an expiry that is not a time"},
		{"file", func(t *testing.T) Spec {
			path := filepath.Join(t.TempDir(), "set")
			aged(t, path, json(no))
			return Spec{File: path}
		}, "holds an expiry that is not a time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			setenv(t, "AWS_REGION=eu-west-1")
			spec := tt.spec(t)
			spec.limits.metadata = patient
			c, err := mustNew(t, spec).Retrieve(t.Context())
			if tt.want == "" {
				if err != nil || c.CanExpire {
					t.Errorf("can expire %v, error %v; want credentials without an expiry", c.CanExpire, err)
				}
				return
			}
			if e := failure(t, err); !strings.Contains(e.Error(), tt.want) {
				t.Errorf("error %q, want %q", e, tt.want)
			}
		})
	}
}

// After keys that somebody has exported there are no newer ones. With a role on top it is
// STS that says whether they have ended.
func TestExportedEnded(t *testing.T) {
	t.Parallel()
	isolate(t)
	setenv(t, "AWS_ACCESS_KEY_ID=ASIA1", "AWS_SECRET_ACCESS_KEY="+baseSecret, "AWS_SESSION_TOKEN="+baseToken, "AWS_CREDENTIAL_EXPIRATION=2020-01-02T03:04:05Z")
	_, err := mustNew(t, Spec{}).Retrieve(t.Context())
	if e := failure(t, err); !strings.Contains(e.Error(), "environment variables: gives credentials that expired at 2020-01-0") || !e.Permanent || !strings.Contains(e.Hint, "unset AWS_ACCESS_KEY_ID") {
		t.Errorf("error %q, permanent %v, hint %q", e, e.Permanent, e.Hint)
	}
	setenv(t, "AWS_ENDPOINT_URL="+newSTS(t).URL)
	mustRetrieve(t, mustNew(t, Spec{Roles: []Role{{ARN: roleA}}}))
}

// Keys that are configured and of no session do not end, whatever their names.
func TestLongTerm(t *testing.T) {
	t.Parallel()
	for token, want := range map[string]bool{"": true, "AWS_SESSION_TOKEN=t": false} {
		isolate(t)
		setenv(t, "AWS_ACCESS_KEY_ID=minioadmin", "AWS_SECRET_ACCESS_KEY="+baseSecret)
		if token != "" {
			setenv(t, token)
		}
		src := mustNew(t, Spec{})
		mustRetrieve(t, src)
		if got := src.Origin(); got != (Origin{Environment: true, LongTerm: want}) {
			t.Errorf("%q: Origin = %+v", token, got)
		}
	}
}

// What something else keeps may have ended when we start, and the next ones be on their way:
// a login of the morning, a sidecar that starts as we do, a machine that was asleep.
func TestEndedAtTheStart(t *testing.T) {
	t.Parallel()
	sts := func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		stsAnswer(w, r.Form.Get("Action"), time.Hour)
	}
	for _, roles := range [][]Role{nil, {{ARN: roleA}}} {
		for _, kind := range []string{"file", "container", "instance"} {
			t.Run(fmt.Sprint(kind, " ", len(roles)), func(t *testing.T) {
				isolate(t)
				path := filepath.Join(t.TempDir(), "set")
				setenv(t, "AWS_ENDPOINT_URL=http://sts.test", "AWS_REGION=eu-west-1")
				spec := Spec{Roles: roles, limits: limits{pollOnly: true}}
				switch kind {
				case "file":
					spec.File = path
				case "container":
					setenv(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1/creds")
				case "instance":
					setenv(t, "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1")
				}
				synctest.Test(t, func(t *testing.T) {
					began := time.Now()
					set := func() string {
						n, end := 1, began.Add(-time.Hour)
						if time.Since(began) > 10*time.Second {
							n, end = 2, began.Add(time.Hour)
						}
						return fmt.Sprintf(`{"Code":"Success","AccessKeyId":"ASIA0%d","SecretAccessKey":%q,"Token":%q,"SessionToken":%[3]q,"Expiration":%q}`, n, roleSecret, roleToken, end.UTC().Format(time.RFC3339))
					}
					write(t, path, set())
					n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						switch {
						case r.Host == "sts.test":
							sts(w, r)
						case r.Method == http.MethodPut:
							w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
							fmt.Fprint(w, "metadata-token")
						case strings.HasSuffix(r.URL.Path, "security-credentials/"):
							fmt.Fprint(w, "instance-role")
						default:
							fmt.Fprint(w, set())
						}
					}))
					spec := spec
					spec.limits.dial = n.dial
					time.AfterFunc(11*time.Second, func() { write(t, path, set()) })
					failures := 0
					d := engine(t, mustNew(t, spec), func(e refresh.Event) {
						if e.Kind == refresh.Failed {
							failures++
							if !strings.Contains(e.Err.Error(), "gives credentials that expired at") || e.Permanent {
								t.Errorf("error %v, permanent %v", e.Err, e.Permanent)
							}
						}
					})
					want := "ASIA02"
					if roles != nil {
						want = "ASIA"
					}
					if c, count := d.get(); !strings.HasPrefix(c.AccessKeyID, want) || count != 1 || failures == 0 {
						t.Errorf("%d credentials, the last %s, after %d failures; want %s", count, c.AccessKeyID, failures, want)
					}
				})
			})
		}
	}
}

// A Date header that no session agrees with is not believed; a clock of ours that is as
// wrong is.
func TestDate(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	tests := []struct {
		name      string
		date, end time.Duration // of the server, from now
		duration  time.Duration
		want      time.Duration // skew
		noted     bool
	}{
		{"right", 0, time.Hour, 0, 0, false},
		{"behind", -40 * day, time.Hour, 0, 0, true},
		{"ahead", 40 * day, time.Hour, 0, 0, true},
		{"our clock is behind", 40 * day, 40*day + time.Hour, 0, -40 * day, false},
		{"our clock is years behind", 20 * 365 * day, 20*365*day + time.Hour, 0, -20 * 365 * day, false},
		{"our clock is ahead", -40 * day, -40*day + time.Hour, 0, 40 * day, false},
		{"a little", -day, time.Hour, 0, day, false},
		{"long sessions", -5 * day, 2 * day, 7 * day, 5 * day, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			baseEnv(t)
			setenv(t, "AWS_ENDPOINT_URL=http://127.0.0.1", "AWS_SESSION_TOKEN=")
			synctest.Test(t, func(t *testing.T) {
				n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					r.ParseForm()
					w.Header().Set("Date", time.Now().Add(tt.date).UTC().Format(http.TimeFormat))
					stsAnswer(w, r.Form.Get("Action"), tt.end)
				}))
				src := mustNew(t, Spec{Roles: []Role{{ARN: roleA, Duration: tt.duration}}, limits: limits{dial: n.dial}})
				mustRetrieve(t, src)
				notes := src.Notes()
				if got := src.Skew(); (got-tt.want).Abs() > time.Minute || (len(notes) > 0) != tt.noted {
					t.Errorf("skew %s, notes %q; want %s, %v", got, notes, tt.want, tt.noted)
				}
			})
		})
	}
}
