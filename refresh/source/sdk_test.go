package source

import (
	"crypto/sha1"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

// Where the orders of the AWS CLI and of the SDK for Go are one, what is resolved must be what the SDK
// finds: the same keys, the same region, an error where it has one.
func TestSameAsSDK(t *testing.T) {
	const (
		envKeys = "AWS_ACCESS_KEY_ID=AKIAENV|AWS_SECRET_ACCESS_KEY=s"
		process = `printf '{"Version":1,"AccessKeyId":"AKIAPROC","SecretAccessKey":"s","SessionToken":"t","Expiration":"2100-01-01T00:00:00Z"}'`
	)
	section := func(name string, lines ...string) string {
		return "[" + name + "]\n" + strings.Join(lines, "\n") + "\n"
	}
	static := func(id string) string { return "aws_access_key_id = " + id + "\naws_secret_access_key = s" }
	tests := []struct {
		name, config, credentials, env string
		profile, region                string
	}{
		{name: "environment", env: envKeys},
		{name: "environment with token and region", env: envKeys + "|AWS_SESSION_TOKEN=t|AWS_REGION=r-1|AWS_ACCOUNT_ID=12"},
		{name: "old names", env: "AWS_ACCESS_KEY=AKIAOLD|AWS_SECRET_KEY=s"},
		{name: "environment before profile", env: envKeys + "|AWS_PROFILE=p", config: section("profile p", static("AKIAP"), "region = r-2")},
		{name: "given profile before environment", env: envKeys, profile: "p", config: section("profile p", static("AKIAP"), "region = r-2")},
		{name: "given region", env: envKeys + "|AWS_REGION=r-1", region: "r-9"},
		{name: "default region variable", env: envKeys + "|AWS_DEFAULT_REGION=r-4"},
		{name: "region variable before profile", env: envKeys + "|AWS_REGION=r-1", config: section("default", "region = r-2")},
		{name: "default profile", credentials: section("default", static("AKIADEF"), "aws_session_token = t")},
		{name: "AWS_PROFILE", env: "AWS_PROFILE=p", credentials: section("p", static("AKIAP"))},
		{name: "AWS_DEFAULT_PROFILE", env: "AWS_DEFAULT_PROFILE=p", credentials: section("p", static("AKIAP")) + section("default", static("AKIADEF"))},
		{name: "credentials file before config file", profile: "p", config: section("profile p", static("AKIACONF"), "region = r-2"), credentials: section("p", static("AKIACRED"))},
		{name: "no such profile", profile: "p", config: section("profile q", static("AKIAQ"))},
		{name: "no such AWS_PROFILE", env: "AWS_PROFILE=p|" + envKeys},
		{name: "no such AWS_DEFAULT_PROFILE", env: "AWS_DEFAULT_PROFILE=p|" + envKeys},
		{name: "process", profile: "p", config: section("profile p", "credential_process = "+process)},
		{name: "process in default", config: section("default", "credential_process = "+process)},
		{name: "source profile without keys", profile: "p", config: section("profile p", "role_arn = "+roleA, "source_profile = q") + section("profile q", "region = r-1")},
		{name: "no role_arn", profile: "p", config: section("profile p", "source_profile = q") + section("profile q", static("AKIAQ"))},
		{name: "mfa", profile: "p", config: section("profile p", "role_arn = "+roleA, "source_profile = q", "mfa_serial = m") + section("profile q", static("AKIAQ"))},
		{name: "bad variable", env: envKeys + "|AWS_MAX_ATTEMPTS=many"},
		{name: "nothing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conf, creds := isolate(t)
			write(t, conf, tt.config)
			write(t, creds, tt.credentials)
			if tt.env != "" {
				setenv(t, strings.Split(tt.env, "|")...)
			}
			ofProcess(t)
			var want, got aws.Credentials
			cfg, wantErr := config.LoadDefaultConfig(t.Context(), config.WithSharedConfigProfile(tt.profile), config.WithRegion(tt.region))
			if wantErr == nil {
				want, wantErr = cfg.Credentials.Retrieve(t.Context())
			}
			src, err := newIn(t, Spec{Profile: tt.profile, Region: tt.region})
			if err == nil {
				if src.Region() != cfg.Region {
					t.Errorf("Region = %q, the SDK's is %q", src.Region(), cfg.Region)
				}
				got, err = src.Retrieve(t.Context())
			}
			if err != nil {
				e := failure(t, err)
				if !e.Permanent {
					t.Errorf("error %q is not permanent", e)
				}
				t.Logf("error: %s | hint: %s | SDK: %v", e, e.Hint, wantErr)
			}
			if (err != nil) != (wantErr != nil) {
				t.Fatalf("error %v, the SDK's is %v", err, wantErr)
			}
			got.Source, want.Source = "", ""
			if got != want {
				t.Errorf("credentials = %+v, the SDK's are %+v", got, want)
			}
		})
	}
}

func TestEnvironmentExpiry(t *testing.T) {
	t.Parallel()
	tests := []struct {
		value, lifetime string
		want            time.Time
		notes           int
	}{
		{"", "", time.Time{}, 0},
		{"2031-02-03T04:05:06Z", "", time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC), 0},
		{"2031-02-03T04:05:06+00:00", "", time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC), 0},
		{"2031-02-03T04:05:06Z", "1h", time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC), 0},
		{"tomorrow", "", time.Time{}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.value+tt.lifetime, func(t *testing.T) {
			isolate(t)
			baseEnv(t)
			setenv(t, "AWS_CREDENTIAL_EXPIRATION="+tt.value)
			life, _ := time.ParseDuration(tt.lifetime)
			src := mustNew(t, Spec{AssumeLifetime: life})
			c := mustRetrieve(t, src)
			if !c.Expires.Equal(tt.want) || c.CanExpire == tt.want.IsZero() {
				t.Errorf("expires %v %s, want %s", c.CanExpire, c.Expires, tt.want)
			}
			if n := src.Notes(); len(n) != tt.notes {
				t.Errorf("Notes = %q, want %d", n, tt.notes)
			}
		})
	}
}

func TestAssumeLifetime(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string]string{
		"keys":                        "aws_access_key_id = AKIADEF\naws_secret_access_key = " + baseSecret,
		"process without Expiration":  `credential_process = printf '{"Version":1,"AccessKeyId":"AKIADEF","SecretAccessKey":"s"}'`,
		"process with no expiry left": `credential_process = printf '{"Version":1,"AccessKeyId":"AKIADEF","SecretAccessKey":"s","Expiration":""}'`,
	} {
		t.Run(name, func(t *testing.T) {
			conf, _ := isolate(t)
			write(t, conf, "[default]\n"+lines)
			before := time.Now()
			c := mustRetrieve(t, mustNew(t, Spec{AssumeLifetime: time.Hour}))
			if life := c.Expires.Sub(before); !c.CanExpire || life < time.Hour-time.Second || life > time.Hour+time.Minute {
				t.Errorf("expires %v in %s, want in 1h", c.CanExpire, life)
			}
			if c := mustRetrieve(t, mustNew(t, Spec{})); c.CanExpire {
				t.Errorf("expires %s, want never", c.Expires)
			}
		})
	}
}

// Keys that are replaced in the file are the ones that the next refresh gives; a
// file that cannot be read any more takes nothing away.
func TestReread(t *testing.T) {
	t.Parallel()
	conf, creds := isolate(t)
	sts := newSTS(t)
	keys := func(id string) string {
		return "[base]\naws_access_key_id = " + id + "\naws_secret_access_key = " + baseSecret + "\n"
	}
	write(t, conf, "[profile app]\nrole_arn = "+roleA+"\nsource_profile = base\nendpoint_url = "+sts.URL+"\n")
	write(t, creds, keys("AKIAONE"))
	src := mustNew(t, Spec{Profile: "app"})
	steps := []struct{ do, want string }{{"", "AKIAONE"}, {keys("AKIATHREE"), "AKIATHREE"}, {"[other]\n", "AKIATHREE"}, {keys("AKIASEVEN"), "AKIASEVEN"}}
	for _, step := range steps {
		if step.do != "" {
			write(t, creds, step.do)
		}
		mustRetrieve(t, src)
		if c := sts.got(); len(c) != 1 || c[0].keyID != step.want {
			t.Fatalf("after %q: calls %+v, want one of %s", step.do, c, step.want)
		}
	}
	if n := src.Notes(); len(n) != 1 || !strings.Contains(n[0], `source_profile "base": there is no such profile`) {
		t.Errorf("Notes = %q, want one about the source profile", n)
	} else {
		presentable(t, n[0])
	}
}

// fakeIMDS speaks the metadata service's second version.
type fakeIMDS struct {
	*httptest.Server
	down    atomic.Bool
	asked   atomic.Int32
	expires atomic.Pointer[time.Time]
}

func newIMDS(t *testing.T) *fakeIMDS {
	f := &fakeIMDS{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		switch {
		case f.down.Load():
			http.Error(w, "no", http.StatusServiceUnavailable)
		case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
			fmt.Fprint(w, "metadata-token")
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/":
			fmt.Fprint(w, "instance-role")
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/instance-role":
			fmt.Fprintf(w, `{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIAIMDS","SecretAccessKey":%q,"Token":%q,"Expiration":%q}`,
				baseSecret, baseToken, f.expires.Load().Format(time.RFC3339))
		case r.URL.Path == "/latest/dynamic/instance-identity/document":
			fmt.Fprint(w, `{"region":"eu-west-2"}`)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(f.Close)
	setenv(t, "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT="+f.URL)
	return f
}

// The metadata service's credentials keep the expiry that they have: the SDK would say an
// hour at most, and after a failure prolong it.
func TestMetadata(t *testing.T) {
	t.Parallel()
	isolate(t)
	imds := newIMDS(t)
	expires := time.Now().Add(6 * time.Hour).UTC().Truncate(time.Second)
	imds.expires.Store(&expires)
	setenv(t, "AWS_DEFAULTS_MODE=auto") // which asks the metadata service while it is loaded
	src := mustNew(t, Spec{})
	if n := imds.asked.Load(); n > 0 {
		t.Errorf("New used the network: %d requests", n)
	}
	if got := src.Region(); got != "" {
		t.Errorf("Region before = %q, want none", got)
	}
	for range 2 {
		if c := mustRetrieve(t, src); c.AccessKeyID != "ASIAIMDS" || !c.Expires.Equal(expires) {
			t.Errorf("set %s ends %s, want ASIAIMDS %s", c.AccessKeyID, c.Expires, expires)
		}
	}
	if got := src.Region(); got != "eu-west-2" {
		t.Errorf("Region = %q, want the instance's", got)
	}
	if src.Describe() != "EC2 instance role" || src.Profile() != "" {
		t.Errorf("Describe = %q, Profile = %q", src.Describe(), src.Profile())
	}
	imds.down.Store(true)
	_, err := src.Retrieve(t.Context())
	if e := failure(t, err); e.Permanent || !strings.Contains(e.Error(), "503") {
		t.Errorf("error %q, permanent %v; want a transient 503", e, e.Permanent)
	}
	imds.Close()
	_, err = src.Retrieve(t.Context())
	if e := failure(t, err); e.Permanent {
		t.Errorf("error %q is permanent, although it has worked before", e)
	}
}

// What the service says of a role that it cannot give.
func TestMetadataRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		body, want string
		permanent  bool
		hint       string
	}{
		{`{"Code":"AssumeRoleUnauthorizedAccess","Message":"EC2 cannot assume the role instance-role."}`, "EC2 instance role: AssumeRoleUnauthorizedAccess: EC2 cannot assume the role instance-role.", true, "must allow ec2.amazonaws.com"},
		{`{"Code":"Success","AccessKeyId":"","SecretAccessKey":"","Expiration":"2031-01-01T00:00:00Z"}`, "EC2 instance role: gives no access key and secret", true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			isolate(t)
			imds := newIMDS(t)
			normal := imds.Config.Handler
			imds.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/instance-role") {
					fmt.Fprint(w, tt.body)
					return
				}
				normal.ServeHTTP(w, r)
			})
			_, err := mustNew(t, Spec{}).Retrieve(t.Context())
			if e := failure(t, err); e.Error() != tt.want || e.Permanent != tt.permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q, permanent %v, hint %q; want %q, %v, %q", e, e.Permanent, e.Hint, tt.want, tt.permanent, tt.hint)
			}
		})
	}
}

// An instance's role is a role: what is assumed with it is chained.
func TestMetadataRole(t *testing.T) {
	t.Parallel()
	conf, _ := isolate(t)
	imds, sts := newIMDS(t), newSTS(t)
	expires := time.Now().Add(time.Hour)
	imds.expires.Store(&expires)
	write(t, conf, "[profile app]\nrole_arn = "+roleA+"\ncredential_source = Ec2InstanceMetadata\nendpoint_url = "+sts.URL)
	src := mustNew(t, Spec{Profile: "app", Roles: []Role{{ARN: roleB, Duration: 2 * time.Hour}}})
	if c := mustRetrieve(t, src); !c.Expires.Equal(roleExpires) {
		t.Errorf("ends %s, want the role's %s", c.Expires, roleExpires)
	}
	calls := sts.got()
	if len(calls) != 2 || calls[0].keyID != "ASIAIMDS" || calls[1].Get("DurationSeconds") != "3600" {
		t.Errorf("calls = %+v", calls)
	}
	imds.Close()
	_, err := src.Retrieve(t.Context())
	if e := failure(t, err); e.Permanent {
		t.Errorf("error %q is permanent: the profile names the service, so it is meant to be there", e)
	}
}

func TestNothingFound(t *testing.T) {
	t.Parallel()
	for _, disabled := range []string{"true", "false"} {
		t.Run(disabled, func(t *testing.T) {
			conf, _ := isolate(t)
			setenv(t, "AWS_EC2_METADATA_DISABLED="+disabled, "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://imds.test")
			write(t, conf, "[default]\nregion = eu-west-1\n[profile prod]\n[profile dev]\n[sso-session s]\n")
			synctest.Test(t, func(t *testing.T) {
				nobody := serve(t, http.NotFoundHandler())
				nobody.down.Store(true)
				_, err := mustNew(t, Spec{limits: limits{dial: nobody.dial}}).Retrieve(t.Context())
				e := failure(t, err)
				if !e.Permanent || !strings.Contains(e.Error(), "no AWS credentials found") || !strings.Contains(e.Hint, "pass --profile NAME") || !strings.HasSuffix(e.Hint, "default, dev, prod") {
					t.Errorf("error %q, permanent %v, hint %q", e, e.Permanent, e.Hint)
				}
				_, err = mustNew(t, Spec{Profile: "prod", limits: limits{dial: nobody.dial}}).Retrieve(t.Context())
				if e := failure(t, err); !e.Permanent || !strings.Contains(e.Error(), `none in profile "prod"`) {
					t.Errorf("error %q, permanent %v", e, e.Permanent)
				}
			})
		})
	}
}

func TestContainer(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		status    int
		body      string
		want      string // in the error
		permanent bool
	}{
		{"set", 200, `{"AccessKeyId":"ASIAECS","SecretAccessKey":"` + baseSecret + `","Token":"` + baseToken + `","Expiration":"2031-01-01T00:00:00Z"}`, "", false},
		{"no association", 404, `{"code":"ResourceNotFoundException","message":"no association"}`, "ResourceNotFoundException: no association", true},
		{"denied", 403, `{"code":"AccessDenied","message":"not for you ` + baseSecret + `"}`, "AccessDenied: not for you [redacted]", true},
		{"throttled", 429, `slow down`, "HTTP 429", false},
		{"server", 500, `{"code":"InternalServerException","message":"x"}`, "InternalServerException", false},
		{"garbage", 200, `{"AccessKeyId":"` + shortSecret, "unreadable answer", false},
		{"secret for a time", 200, `{"AccessKeyId":"A","SecretAccessKey":"` + baseSecret + `","Expiration":"` + shortSecret + `"}`, "unreadable answer", false},
		{"no keys", 200, `{}`, "gives no access key and secret", true},
		{"html", 200, `<html>` + shortSecret + `</html>`, "unreadable answer", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			var auth atomic.Pointer[string]
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				a := r.Header.Get("Authorization")
				auth.Store(&a)
				if strings.HasPrefix(tt.body, "{") {
					w.Header().Set("Content-Type", "application/json")
				}
				w.WriteHeader(tt.status)
				fmt.Fprint(w, tt.body)
			}))
			defer srv.Close()
			token := filepath.Join(t.TempDir(), "token")
			write(t, token, "one")
			setenv(t, "AWS_CONTAINER_CREDENTIALS_FULL_URI="+srv.URL+"/"+shortSecret, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+token)
			src := mustNew(t, Spec{})
			if got := src.Describe(); got != "container credentials endpoint" {
				t.Errorf("Describe = %q", got)
			}
			c, err := src.Retrieve(t.Context())
			if tt.want == "" {
				if end := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC); err != nil || c.AccessKeyID != "ASIAECS" || !c.Expires.Equal(end) {
					t.Fatalf("Retrieve = %s until %s, %v; want ASIAECS until %s", c.AccessKeyID, c.Expires, err, end)
				}
				write(t, token, "two")
				mustRetrieve(t, src)
				if *auth.Load() != "two" {
					t.Errorf("token %q, want the one that is now in the file", *auth.Load())
				}
				return
			}
			if e := failure(t, err); !strings.Contains(e.Error(), tt.want) || e.Permanent != tt.permanent {
				t.Errorf("error %q, permanent %v; want %q, %v", e, e.Permanent, tt.want, tt.permanent)
			}
		})
	}
}

func TestWebIdentity(t *testing.T) {
	t.Parallel()
	isolate(t)
	sts := newSTS(t)
	token := filepath.Join(t.TempDir(), "token")
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL, "AWS_WEB_IDENTITY_TOKEN_FILE="+token, "AWS_ROLE_ARN="+roleA)
	src := mustNew(t, Spec{Names: Names{Command: "c", PID: 3}})
	_, err := src.Retrieve(t.Context())
	if e := failure(t, err); !strings.Contains(e.Error(), token) {
		t.Errorf("error %q, want it to name %s", e, token)
	}
	for _, text := range []string{jwt, "second"} {
		write(t, token, text)
		if c := mustRetrieve(t, src); !c.Expires.Equal(roleExpires) {
			t.Errorf("ends %s, want %s", c.Expires, roleExpires)
		}
		calls := sts.got()
		if len(calls) != 1 || calls[0].Get("WebIdentityToken") != text || calls[0].keyID != "" || calls[0].Get("RoleSessionName") != "brs-exec-c-3" {
			t.Errorf("calls = %+v, want one unsigned with token %q", calls, text)
		}
	}
	write(t, token, jwt)
	for code, permanent := range map[string]bool{"ExpiredTokenException": false, "InvalidIdentityToken": true, "IDPCommunicationError": false, "AccessDenied": true} {
		sts.answer = func(w http.ResponseWriter, c call) bool {
			status := 400
			if code == "AccessDenied" {
				status = 403
			}
			return refuse(w, status, code, "because of "+c.Get("WebIdentityToken"))
		}
		_, err := src.Retrieve(t.Context())
		if e := failure(t, err); !strings.Contains(e.Error(), "assume role "+roleA+": "+code) || e.Permanent != permanent {
			t.Errorf("%s: error %q, permanent %v, want %v", code, e, e.Permanent, permanent)
		}
	}
}

func TestSSO(t *testing.T) {
	t.Parallel()
	conf, _ := isolate(t)
	portal := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL_SSO="+portal.URL)
	write(t, conf, "[profile dev]\nsso_start_url = https://example.invalid/start\nsso_region = eu-west-1\nsso_account_id = 123456789012\nsso_role_name = ops\n")
	src := mustNew(t, Spec{Profile: "dev"})
	check := func(what, want, hint string, permanent bool) {
		t.Helper()
		_, err := src.Retrieve(t.Context())
		if e := failure(t, err); !strings.Contains(e.Error(), want) || e.Permanent != permanent || e.Hint != hint {
			t.Errorf("%s: error %q, permanent %v, hint %q; want %q, %v, %q", what, e, e.Permanent, e.Hint, want, permanent, hint)
		}
	}
	check("never logged in", "the SSO session has expired", "brs-exec login --profile dev, or aws sso login --profile dev", true)
	home, _ := envOf(t).home()
	cache := filepath.Join(home, ".aws", "sso", "cache")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	cached := func(expires time.Time) {
		// The name is the SHA-1 of the start URL, as the AWS CLI has it.
		write(t, filepath.Join(cache, fmt.Sprintf("%x.json", sha1.Sum([]byte("https://example.invalid/start")))),
			fmt.Sprintf(`{"accessToken":%q,"expiresAt":%q}`, jwt, expires.UTC().Format(time.RFC3339)))
	}
	cached(time.Now().Add(-time.Hour))
	check("expired", "the SSO session has expired", "brs-exec login --profile dev, or aws sso login --profile dev", true)
	cached(time.Now().Add(time.Hour))
	reply := func(status int, kind string) {
		portal.answer = func(w http.ResponseWriter, _ call) bool {
			w.Header().Set("X-Amzn-Errortype", kind)
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"message":"Session token not found or invalid: %s"}`, jwt)
			return true
		}
	}
	reply(401, "UnauthorizedException")
	check("revoked", "UnauthorizedException", "brs-exec login --profile dev, or aws sso login --profile dev", true)
	reply(403, "ForbiddenException")
	check("not assigned", "ForbiddenException", "this SSO user is not assigned that role in that account (or no longer)", true)
	reply(429, "TooManyRequestsException")
	check("throttled", "TooManyRequestsException", "", false)
	portal.answer = func(w http.ResponseWriter, _ call) bool {
		fmt.Fprintf(w, `{"roleCredentials":{"accessKeyId":"ASIASSO","secretAccessKey":%q,"sessionToken":%q,"expiration":%d}}`, baseSecret, baseToken, roleExpires.UnixMilli())
		return true
	}
	if c := mustRetrieve(t, src); c.AccessKeyID != "ASIASSO" || !c.Expires.Equal(roleExpires) {
		t.Errorf("set %s ends %s, want ASIASSO %s", c.AccessKeyID, c.Expires, roleExpires)
	}
	portal.Close()
	_, err := src.Retrieve(t.Context())
	if e := failure(t, err); e.Permanent || !strings.Contains(e.Error(), "connection refused") {
		t.Errorf("error %q, permanent %v; want a transient refusal", e, e.Permanent)
	}
}
