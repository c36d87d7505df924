package source

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// What a server may answer, by code and by status, and what it comes to.
func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status        int
		code, message string
		want          string // after the role's name
		permanent     bool
		hint          string
	}{
		{403, "AccessDenied", "User: arn:aws:iam::123456789012:user/ops is not authorized to perform: sts:AssumeRole on resource: " + roleA,
			"AccessDenied: User: arn:aws:iam::123456789012:user/ops is not authorized to perform: sts:AssumeRole on resource: " + roleA, true, "trust policy must allow the identity behind environment variables"},
		{403, "Unknown", "", "HTTP 403 Forbidden from 127.0.0.1", true, "trust policy"}, // radosgw
		{404, "Unknown", "", "HTTP 404 Not Found from 127.0.0.1", true, "(AWS_ENDPOINT_URL is set)"},
		{400, "Unknown", "", "HTTP 400 Bad Request from 127.0.0.1", true, ""},
		{405, "MethodNotAllowed", "x", "MethodNotAllowed: x", true, ""},
		{403, "ExpiredToken", "The security token included in the request is expired", "ExpiredToken: The security token included in the request is expired", true, "renew them"},
		{403, "InvalidClientTokenId", "The security token included in the request is invalid.", "InvalidClientTokenId", true, "these keys are not known to 127.0.0.1"},
		{403, "InvalidAccessKeyId", "The Access Key Id you provided does not exist in our records.", "InvalidAccessKeyId", true, "these keys are not known"}, // MinIO
		{403, "SignatureDoesNotMatch", "Check your key and signing method.", "SignatureDoesNotMatch", true, "secret access key"},
		{403, "RegionDisabledException", "STS is not activated in this region", "RegionDisabledException", true, "--region"},
		{400, "ValidationError", "1 validation error detected", "ValidationError: 1 validation error detected", true, ""},
		{400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", "ValidationError: The requested", true, "--duration"},
		{400, "MalformedPolicyDocument", "Syntax errors in policy.", "MalformedPolicyDocument", true, "session policy"},
		{400, "PackedPolicyTooLarge", "x", "PackedPolicyTooLarge", true, "session policy"},
		{400, "Throttling", "Rate exceeded", "Throttling: Rate exceeded", false, ""},
		{400, "ThrottlingException", "Rate exceeded", "ThrottlingException", false, ""},
		{503, "SlowDown", "x", "SlowDown", false, ""},
		{429, "Whatever", "x", "Whatever: x", false, ""},
		{500, "InternalFailure", "x", "InternalFailure: x", false, ""},
		{503, "ServiceUnavailable", "x", "ServiceUnavailable: x", false, ""},
		{408, "RequestTimeout", "x", "RequestTimeout", false, ""},
		// Servers that say too much.
		{403, "AccessDenied", "key " + baseSecret + " token " + baseToken, "AccessDenied: key [redacted] token [redacted]", true, ""},
		{403, "AccessDenied", "got " + roleSecret + "," + roleToken + " " + jwt, "AccessDenied: got [redacted],[redacted] [redacted]", true, ""},
		{403, "AccessDenied", "see https://example.org/" + shortSecret + "?t=" + roleSecret + " and\n\t more", "AccessDenied: see https://example.org and more", true, ""},
		{403, "AccessDenied", strings.Repeat("long ", 1000), "AccessDenied: long long", true, ""},
		{403, "AccessDenied", "Encoded authorization failure message: " + strings.Repeat("aB3", 200), "AccessDenied: Encoded authorization failure message: [redacted]", true, ""},
		{403, baseSecret, "x", "[redacted]: x", true, ""},
	}
	isolate(t)
	baseEnv(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	src := mustNew(t, Spec{Roles: []Role{{ARN: roleA}}})
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d %s", tt.status, tt.code), func(t *testing.T) {
			sts.answer = func(w http.ResponseWriter, _ call) bool { return refuse(w, tt.status, tt.code, tt.message) }
			_, err := src.Retrieve(t.Context())
			e := failure(t, err)
			if !strings.HasPrefix(e.Error(), "environment variables: assume role "+roleA+": "+tt.want) {
				t.Errorf("error %q, want %q", e, tt.want)
			}
			if e.Permanent != tt.permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("permanent %v, hint %q; want %v, %q", e.Permanent, e.Hint, tt.permanent, tt.hint)
			}
			if n := len([]rune(e.Error())); n > 520 {
				t.Errorf("%d characters", n)
			}
			if errors.Unwrap(e.Err) != nil {
				t.Errorf("wraps %v, which someone may print", errors.Unwrap(e.Err))
			}
		})
	}
}

// In a chain the one that is refused is named, and the one that asked.
func TestDeniedInChain(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	sts.answer = func(w http.ResponseWriter, c call) bool {
		return c.Get("RoleArn") == roleB && refuse(w, 403, "AccessDenied", "no")
	}
	_, err := mustNew(t, Spec{Roles: Chain([]string{roleA, roleB}, Role{})}).Retrieve(t.Context())
	if e := failure(t, err); !strings.Contains(e.Error(), "assume role "+roleB+": AccessDenied: no") || !strings.Contains(e.Hint, "must allow the identity behind "+roleA) {
		t.Errorf("error %q, hint %q", e, e.Hint)
	}
}

func TestProfileErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, config, profile, want, hint string
	}{
		{"near", "[profile prod-eu]\n[profile dev]\n", "prod_eu", `profile "prod_eu": there is no such profile`, `did you mean "prod-eu"?`},
		{"case", "[profile Prod]\n[profile dev]\n", "prod", `there is no such profile`, `did you mean "Prod"?`},
		{"far", "[profile prod]\n[profile dev]\n[default]\n", "staging", "there is no such profile", "the profiles are default, dev, prod"},
		{"none", "", "staging", "there is no such profile", "there are no profiles: looked in /"},
		{"many", "[profile a1]\n[profile a2]\n[profile a3]\n[profile a4]\n[profile a5]\n[profile a6]\n[profile a7]\n[profile a8]\n[profile a9]\n[profile a0]\n", "staging", "", "a7 and 2 more"},
		{"source", "[profile app]\nrole_arn = " + roleA + "\nsource_profile = bas\n[profile base]\naws_access_key_id = A\naws_secret_access_key = " + baseSecret + "\n", "app",
			`source_profile "bas": there is no such profile`, `did you mean "base"?`},
		{"no keys in a source_profile", "[profile app]\nrole_arn = " + roleA + "\nsource_profile = base\n[profile base]\nregion = r-1\n", "app", `source_profile "base": holds no credentials`, ""},
		{"circle", "[profile a]\nrole_arn = " + roleA + "\nsource_profile = b\n[profile b]\nrole_arn = " + roleA + "\nsource_profile = c\n[profile c]\nrole_arn = " + roleA + "\nsource_profile = a\n", "a",
			`profile "c": source_profile goes round in a circle: a → b → c → a`, "credentials of its own"},
		{"its own source", "[profile a]\nrole_arn = " + roleA + "\nsource_profile = a\n", "a", `source_profile "a": holds no credentials`, ""},
		{"half a pair", "[profile a]\naws_access_key_id = A\n", "a", `profile "a": has aws_access_key_id, but no aws_secret_access_key`, "both, or none"},
		{"credential_source Environment", "[profile app]\nrole_arn = " + roleA + "\ncredential_source = Environment\n", "app", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set", "source_profile"},
		{"credential_source EcsContainer", "[profile app]\nrole_arn = " + roleA + "\ncredential_source = EcsContainer\n", "app", "AWS_CONTAINER_CREDENTIALS_FULL_URI is set", ""},
		{"two sources", "[profile app]\nrole_arn = " + roleA + "\ncredential_source = Environment\nsource_profile = base\n", "app", `profile "app": has source_profile as well as credential_source`, "leave one"},
		{"web identity without a role", "[profile app]\nweb_identity_token_file = /t\n", "app", `profile "app": has web_identity_token_file, but no role_arn`, ""},
		{"sso without a role name", "[profile app]\nsso_session = corp\nsso_account_id = 1\n[sso-session corp]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n", "app",
			`profile "app": has SSO settings, but no sso_role_name`, "aws configure sso"},
		{"sso with two regions", "[profile app]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = r\nsso_region = eu-west-2\n[sso-session corp]\nsso_start_url = https://x.awsapps.com/start\nsso_region = eu-west-1\n", "app",
			`profile "app": sso_region differs from that of its sso_session "corp"`, "leave it out"},
		{"process without a program", "[profile app]\ncredential_process = \"\"\n", "app", "credential_process: names no program", ""},
		{"process with an open quote", "[profile app]\ncredential_process = helper \"a b\n", "app", "credential_process: a quote is not closed", ""},
		{"UTF-16", "\xff\xfe[\x00d\x00", "app", "CONFIG: is UTF-16", "UTF-8"},
		{"byte order mark", "\xef\xbb\xbf[profile prod]\n", "prdo", "there is no such profile", `did you mean "prod"?`},
		{"sso session", "[profile app]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = r\n", "app", `sso_session "corp": there is no such section`, ""},
		{"credential_source", "[profile app]\nrole_arn = " + roleA + "\ncredential_source = Nowhere\n", "app", `credential_source "Nowhere": there is no such source`, "Ec2InstanceMetadata"},
		{"mfa", "[profile app]\nrole_arn = " + roleA + "\nmfa_serial = arn:aws:iam::1:mfa/ann\nsource_profile = base\n[profile base]\naws_access_key_id = A\naws_secret_access_key = " + baseSecret + "\n", "app",
			"an MFA code of arn:aws:iam::1:mfa/ann is needed, and there is no terminal to ask for it", "--mfa-command"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conf, _ := isolate(t)
			write(t, conf, tt.config)
			_, err := newIn(t, Spec{Profile: tt.profile})
			if e := failure(t, err); !e.Permanent || !strings.Contains(strings.Replace(e.Error(), conf, "CONFIG", 1), tt.want) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q, permanent %v, hint %q; want %q, %q", e, e.Permanent, e.Hint, tt.want, tt.hint)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	conf, _ := isolate(t)
	write(t, conf, "[profile app]\nlogin_session = arn:aws:iam::123456789012:user/ann\nregion = eu-west-1\n")
	_, err := mustNew(t, Spec{Profile: "app"}).Retrieve(t.Context())
	if e := failure(t, err); !e.Permanent || !strings.HasPrefix(e.Error(), `profile "app": `) || e.Hint != "aws login --profile app" {
		t.Errorf("error %q, permanent %v, hint %q; want a hint to log in", e, e.Permanent, e.Hint)
	}
}

func TestScrub(t *testing.T) {
	t.Parallel()
	long := "Abc1" + strings.Repeat("x", 36)
	tests := []struct{ in, want string }{
		{"plain words", "plain words"},
		{"two\nlines\r\n\tand \x00control", "two lines and control"},
		{long, "[redacted]"},
		{long[:39], long[:39]},
		{"(" + long + "), " + long + ".", "([redacted]), [redacted]."},
		{"key=" + long, "[redacted]"},
		{"arn:aws:iam::1:role/" + long, "arn:aws:iam::1:role/" + long},
		{"MyStack-LambdaExecutionRole-1A2B3C4D5E6F7-And-More", "MyStack-LambdaExecutionRole-1A2B3C4D5E6F7-And-More"},
		{"c6104cbe-af31-11e0-8154-cbc7ccf896c7", "c6104cbe-af31-11e0-8154-cbc7ccf896c7"},
		{`Post "https://user:pw@host:8443/path?q=1": EOF`, `Post "https://host:8443": EOF`},
		{"http://[::1]:80/x", "http://[::1]:80"},
		{"x://%zz", "[redacted]"},
		{"token " + jwt + ".", "token [redacted]"},
		{"hunter2! is known", "[redacted] is known"},
		{"\xff\xfe", "?"},
	}
	for _, tt := range tests {
		if got := redact(redactForeign(tt.in), []string{"", "pw", shortSecret}); got != tt.want {
			t.Errorf("redact(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzScrub(f *testing.F) {
	f.Add("plain", "pre ", " post")
	f.Add(`"https://h/`, "?x=", `"`)
	f.Add("arn:aws:iam::1:role/", "", ",")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		got := redact(redactForeign(a+baseSecret+b+baseToken+c), []string{baseSecret, baseToken})
		presentable(t, got)
	})
}
