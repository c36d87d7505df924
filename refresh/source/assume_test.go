package source

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
)

const (
	roleA = "arn:aws:iam::123456789012:role/a"
	roleB = "arn:aws:iam::123456789012:role/b"
	roleC = "arn:aws:iam::123456789012:role/c"
)

func TestChain(t *testing.T) {
	t.Parallel()
	session := Role{
		SessionName: "s", ExternalID: "x", Policy: "{}", PolicyARNs: []string{"p"}, SourceIdentity: "i", Duration: time.Hour,
		Tags: map[string]string{"team": "red", "stays": "here"}, TransitiveTags: []string{"team"},
		ProvidedContexts: []ProvidedContext{{ProviderARN: "c", File: "f"}},
	}
	single := session
	single.ARN = roleA
	tests := []struct {
		name string
		arns []string
		want []Role
	}{
		{"none", nil, []Role{}},
		{"one gets everything", []string{roleA}, []Role{single}},
		{"three", []string{roleA, roleB, roleC}, []Role{
			{ARN: roleA, SessionName: "s", SourceIdentity: "i", Tags: map[string]string{"team": "red"}, TransitiveTags: []string{"team"}},
			{ARN: roleB, SessionName: "s"},
			{ARN: roleC, SessionName: "s", ExternalID: "x", Policy: "{}", PolicyARNs: []string{"p"}, Duration: time.Hour, Tags: map[string]string{"stays": "here"}, ProvidedContexts: session.ProvidedContexts},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Chain(tt.arns, session)); diff != "" {
				t.Errorf("Chain (-want +got):\n%s", diff)
			}
		})
	}
}

// form is what a call of AssumeRole is expected to carry.
func form(pairs ...string) url.Values {
	v := url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}}
	for _, p := range pairs {
		k, val, _ := strings.Cut(p, "=")
		v.Set(k, val)
	}
	return v
}

func TestAssumeRoleParameters(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL_STS="+sts.URL, "AWS_REGION=eu-central-1")
	src := mustNew(t, Spec{
		Names: Names{User: "ann", Host: "h", Command: "job.py", PID: 7},
		Roles: Chain([]string{roleA, "arn:minio:iam:::role/dummy"}, Role{
			SessionName: "{user}@{host}/{command}#{pid} {profile}", ExternalID: "ext", Policy: `{"Version":"2012-10-17"}`,
			PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::aws:policy/Other"},
			Tags:       map[string]string{"team": "red", "job": "1"}, TransitiveTags: []string{"team"},
			SourceIdentity: "ann", Duration: 20 * time.Minute,
		}),
	})
	if got, want := src.Describe(), "environment variables → "+roleA+" → arn:minio:iam:::role/dummy"; got != want {
		t.Errorf("Describe = %q, want %q", got, want)
	}
	creds := mustRetrieve(t, src)
	want := aws.Credentials{
		AccessKeyID: "ASIAROLE2", SecretAccessKey: roleSecret, SessionToken: roleToken,
		Source: "AssumeRole", CanExpire: true, Expires: roleExpires, AccountID: "123456789012",
	}
	if diff := cmp.Diff(want, creds); diff != "" {
		t.Errorf("credentials (-want +got):\n%s", diff)
	}
	name := "RoleSessionName=ann@h-job.py-7-default"
	wantCalls := []call{
		{form("RoleArn="+roleA, name, "SourceIdentity=ann", "TransitiveTagKeys.member.1=team", "Tags.member.1.Key=team", "Tags.member.1.Value=red"),
			"AKIABASE", "eu-central-1", baseToken},
		{form("RoleArn=arn:minio:iam:::role/dummy", name, "ExternalId=ext", `Policy={"Version":"2012-10-17"}`, "DurationSeconds=1200",
			"PolicyArns.member.1.arn=arn:aws:iam::aws:policy/ReadOnlyAccess", "PolicyArns.member.2.arn=arn:aws:iam::aws:policy/Other",
			"Tags.member.1.Key=job", "Tags.member.1.Value=1"),
			"ASIAROLE1", "eu-central-1", roleToken},
	}
	if diff := cmp.Diff(wantCalls, sts.got(), cmp.AllowUnexported(call{})); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if notes := src.Notes(); len(notes) > 0 {
		t.Errorf("Notes = %q, want none", notes)
	}
}

// A profile's own roles are assumed by us, so that every override of the endpoint
// counts for them as it does for --role-arn.
func TestEndpointAndRegion(t *testing.T) {
	t.Parallel()
	const keys = "aws_access_key_id = AKIABASE\naws_secret_access_key = " + baseSecret + "\n"
	profile := "[profile app]\nrole_arn = " + roleA + "\nsource_profile = src\n%s\n[profile src]\n" + keys
	tests := []struct {
		name   string
		config string // URL for %[1]s
		env    []string
		spec   Spec
		region string // that STS is called in
		child  string // that the command gets
	}{
		{"AWS_ENDPOINT_URL_STS", profile, []string{"AWS_ENDPOINT_URL_STS=URL"}, Spec{Profile: "app"}, "us-east-1", ""},
		{"AWS_ENDPOINT_URL", profile, []string{"AWS_ENDPOINT_URL=URL"}, Spec{Profile: "app"}, "us-east-1", ""},
		{"AWS_PROFILE", profile, []string{"AWS_ENDPOINT_URL=URL", "AWS_PROFILE=app"}, Spec{}, "us-east-1", ""},
		{"endpoint_url", strings.Replace(profile, "%s", "endpoint_url = URL\nregion = eu-west-3", 1), nil, Spec{Profile: "app"}, "eu-west-3", "eu-west-3"},
		{"services section", strings.Replace(profile, "%s", "services = loc\nregion = eu-west-3", 1) + "[services loc]\nsts =\n  endpoint_url = URL\n",
			nil, Spec{Profile: "app", Region: "eu-north-1"}, "eu-north-1", "eu-north-1"},
		{"role on top of a profile", "[profile src]\nregion = ap-south-1\nendpoint_url = URL\n" + keys, nil, Spec{Profile: "src", Roles: []Role{{ARN: roleA}}}, "ap-south-1", "ap-south-1"},
		{"role on top of the environment", "[default]\nendpoint_url = URL\n", []string{"AWS_ACCESS_KEY_ID=AKIABASE", "AWS_SECRET_ACCESS_KEY=" + baseSecret},
			Spec{Roles: []Role{{ARN: roleA}}}, "us-east-1", ""},
		{"China without a region", "", []string{"AWS_ENDPOINT_URL=URL", "AWS_ACCESS_KEY_ID=AKIABASE", "AWS_SECRET_ACCESS_KEY=" + baseSecret},
			Spec{Roles: []Role{{ARN: "arn:aws-cn:iam::123456789012:role/a"}}}, "cn-north-1", ""},
		{"GovCloud without a region", "", []string{"AWS_ENDPOINT_URL=URL", "AWS_ACCESS_KEY_ID=AKIABASE", "AWS_SECRET_ACCESS_KEY=" + baseSecret},
			Spec{Roles: []Role{{ARN: "arn:aws-us-gov:iam::123456789012:role/a"}}}, "us-gov-west-1", ""},
		{"AWS_DEFAULT_REGION", profile, []string{"AWS_ENDPOINT_URL=URL", "AWS_DEFAULT_REGION=sa-east-1"}, Spec{Profile: "app"}, "sa-east-1", "sa-east-1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conf, _ := isolate(t)
			sts := newSTS(t)
			write(t, conf, strings.NewReplacer("URL", sts.URL, "%s", "").Replace(tt.config))
			for _, e := range tt.env {
				setenv(t, strings.ReplaceAll(e, "=URL", "="+sts.URL))
			}
			src := mustNew(t, tt.spec)
			if got := mustRetrieve(t, src).AccessKeyID; got != "ASIAROLE1" {
				t.Errorf("key id = %q, want the role's", got)
			}
			calls := sts.got()
			if len(calls) != 1 || calls[0].keyID != "AKIABASE" || calls[0].region != tt.region {
				t.Errorf("calls = %+v, want one of AKIABASE in %s", calls, tt.region)
			}
			if src.Region() != tt.child {
				t.Errorf("Region = %q, want %q", src.Region(), tt.child)
			}
		})
	}
}

func TestProfileRole(t *testing.T) {
	t.Parallel()
	conf, _ := isolate(t)
	sts := newSTS(t)
	write(t, conf, fmt.Sprintf(`
[profile app]
role_arn = %s
source_profile = mid
external_id = e1
duration_seconds = 7200
region = eu-west-1
endpoint_url = %s
[profile mid]
role_arn = %s
role_session_name = fixed
source_profile = base
duration_seconds = 900
[profile base]
aws_access_key_id = AKIABASE
aws_secret_access_key = %s
`, roleB, sts.URL, roleA, baseSecret))
	src := mustNew(t, Spec{Profile: "app", Names: Names{Command: "c", PID: 1}, Roles: []Role{{ARN: roleC}}})
	mustRetrieve(t, src)
	want := []call{
		{form("RoleArn="+roleA, "RoleSessionName=fixed", "DurationSeconds=900"), "AKIABASE", "eu-west-1", ""},
		{form("RoleArn="+roleB, "RoleSessionName=brs-exec-c-1", "DurationSeconds=3600", "ExternalId=e1"), "ASIAROLE1", "eu-west-1", roleToken},
		{form("RoleArn="+roleC, "RoleSessionName=brs-exec-c-1"), "ASIAROLE2", "eu-west-1", roleToken},
	}
	if diff := cmp.Diff(want, sts.got(), cmp.AllowUnexported(call{})); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if got, want := src.Describe(), `profile "app" → `+roleA+" → "+roleB+" → "+roleC; got != want {
		t.Errorf("Describe = %q, want %q", got, want)
	}
	if got := src.Profile(); got != "app" {
		t.Errorf("Profile = %q, want app", got)
	}
	if notes := src.Notes(); len(notes) != 1 || !strings.Contains(notes[0], roleB) || !strings.Contains(notes[0], "1h") {
		t.Errorf("Notes = %q, want one about the duration of %s", notes, roleB)
	}
	if notes := src.Notes(); len(notes) > 0 {
		t.Errorf("second Notes = %q, want none", notes)
	}
}

// AWS's limit of an hour on role chaining, where it is certain and where it is not.
func TestDurationCap(t *testing.T) {
	t.Parallel()
	const message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
	limited := func(w http.ResponseWriter, c call) bool {
		return c.Get("DurationSeconds") != "3600" && c.Get("RoleArn") == roleB && refuse(w, 400, "ValidationError", message)
	}
	tests := []struct {
		name   string
		token  string // of the base
		arns   []string
		answer func(http.ResponseWriter, call) bool
		want   []string // durations of the calls of two retrievals
		notes  int
		fails  bool
	}{
		{"chain", "", []string{roleA, roleB}, limited, []string{"", "3600", "", "3600"}, 1, false},
		{"temporary base that is limited", baseToken, []string{roleB}, limited, []string{"10800", "3600", "3600"}, 1, false},
		{"temporary base that is not", baseToken, []string{roleB}, nil, []string{"10800", "10800"}, 0, false},
		{"user", "", []string{roleB}, nil, []string{"10800", "10800"}, 0, false},
		{"user over the role's maximum", "", []string{roleB}, limited, []string{"10800", "10800"}, 0, true},
		{"chain of many", "", slices.Repeat([]string{roleA}, 12), nil, slices.Repeat(append(make([]string, 11), "3600"), 2), 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			isolate(t)
			baseEnv(t)
			sts := newSTS(t)
			sts.answer = tt.answer
			setenv(t, "AWS_ENDPOINT_URL="+sts.URL, "AWS_SESSION_TOKEN="+tt.token)
			src := mustNew(t, Spec{Roles: Chain(tt.arns, Role{Duration: 3 * time.Hour})})
			for range 2 {
				_, err := src.Retrieve(t.Context())
				if (err != nil) != tt.fails {
					t.Fatalf("Retrieve = %v", err)
				}
				if err != nil {
					if e := failure(t, err); !e.Permanent || !strings.Contains(e.Hint, "--duration 1h: AWS allows no more") {
						t.Errorf("error %v, permanent %v, hint %q; want the limit of a chain explained", e, e.Permanent, e.Hint)
					}
				}
			}
			var got []string
			for _, c := range sts.got() {
				got = append(got, c.Get("DurationSeconds"))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("durations (-want +got):\n%s", diff)
			}
			if notes := src.Notes(); len(notes) != tt.notes {
				t.Errorf("Notes = %q, want %d", notes, tt.notes)
			}
		})
	}
}

func TestSpecErrors(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	tests := []struct {
		name, want, hint string
		spec             Spec
	}{
		{"placeholder", `session name "{who}": {who}: no such placeholder`, "{user} {host}", Spec{Roles: []Role{{ARN: roleA, SessionName: "{who}"}}}},
		{"brace", `session name "a{b": {b: no such placeholder`, "{user}", Spec{Roles: []Role{{ARN: roleA, SessionName: "a{b"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newIn(t, tt.spec)
			e := failure(t, err)
			if e.Error() != tt.want || !e.Permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("New = %q, permanent %v, hint %q; want %q, permanent, %q", e, e.Permanent, e.Hint, tt.want, tt.hint)
			}
		})
	}
	for _, arn := range []string{"arn:aws:iam:::role/x", "arn:minio:iam:::role/dummy", "arn:aws-iso-b:iam::1:role/p/q"} {
		if _, err := newIn(t, Spec{Roles: []Role{{ARN: arn}}}); err != nil {
			t.Errorf("New with role %s = %v, want nil", arn, err)
		}
	}
}

func TestSessionName(t *testing.T) {
	t.Parallel()
	s := &Source{spec: Spec{Names: Names{User: "änn", Host: "h", Command: "c", PID: 12}, Profile: "p q"}}
	long := strings.Repeat("x", 70)
	tests := []struct{ template, want string }{
		{"", "brs-exec-c-12"},
		{"{profile}", "p-q"},
		{"{user}", "-nn"},
		{"x", "x-brs-exec"},
		{"a_+=,.@-Z9", "a_+=,.@-Z9"},
		{"a b/c:d\n{host}{pid}", "a-b-c-d-h12"},
		{long, long[:64]},
		{"{odd", "-odd"}, // only a profile's own may get here: New refuses it
	}
	for _, tt := range tests {
		got := s.sessionName(tt.template)
		if got != tt.want {
			t.Errorf("sessionName(%q) = %q, want %q", tt.template, got, tt.want)
		}
		if n := len(got); n < 2 || n > 64 {
			t.Errorf("sessionName(%q) has %d characters, want 2 to 64", tt.template, n)
		}
	}
	if got := (&Source{}).sessionName("{command}{command}"); got != "-brs-exec" {
		t.Errorf("sessionName of nothing = %q", got)
	}
	u, err := user.Current()
	host, _ := os.Hostname()
	if got, want := (&Source{}).sessionName("{user}@{host}"), sanitise(u.Username+"@"+host); err != nil || got != want {
		t.Errorf("sessionName of this process = %q (%v), want %q", got, err, want)
	}
}
