package source

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
)

var (
	parseNow = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	parseEnd = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
)

// outputs are what programs in the field print, and what it means. The full set
// has the expiry of parseEnd.
var outputs = []struct {
	name, out string
	want      aws.Credentials
}{
	{"credential_process", `{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "S", "SessionToken": "T", "Expiration": "2030-01-02T03:04:05Z"}`,
		aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"credential_process with account", `{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "S", "SessionToken": "T", "AccountId": "123456789012", "Expiration": "2030-01-02T04:04:05+01:00"}`,
		aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", AccountID: "123456789012", CanExpire: true, Expires: parseEnd}},
	{"without expiry or token", `{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S"}`, aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S"}},
	{"null expiry", `{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":null,"Expiration":null}`, aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S"}},
	{"empty expiry", `{"AccessKeyId":"A","SecretAccessKey":"S","Expiration":""}`, aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S"}},
	{"byte order mark", "\xef\xbb\xbf{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\"}\r\n", aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S"}},
	{"aws sts assume-role", `{
    "Credentials": {"AccessKeyId": "A", "SecretAccessKey": "S", "SessionToken": "T", "Expiration": "2030-01-02T03:04:05+00:00"},
    "AssumedRoleUser": {"AssumedRoleId": "AROA:x", "Arn": "arn:aws:sts::123456789012:assumed-role/app/x"}}`,
		aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", AccountID: "123456789012", CanExpire: true, Expires: parseEnd}},
	{"IoT", `{"credentials":{"accessKeyId":"A","secretAccessKey":"S","sessionToken":"T","expiration":"2030-01-02T03:04:05Z"}}`,
		aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"aws sso get-role-credentials", `{"roleCredentials":{"accessKeyId":"A","secretAccessKey":"S","sessionToken":"T","expiration":1893553445000}}`,
		aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"Vault", `{"request_id":"2f","lease_id":"aws/sts/app/l","lease_duration":3599,"renewable":false,"data":{"access_key":"A","secret_key":"S","security_token":"T","arn":"x","ttl":3599},"warnings":null}`,
		aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseNow.Add(3599 * time.Second)}},
	{"Vault, both names", `{"lease_duration":60,"data":{"access_key":"A","secret_key":"S","security_token":"T","session_token":"T"}}`,
		aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseNow.Add(time.Minute)}},
	{"Vault, a user", `{"lease_duration":2764800,"renewable":true,"data":{"access_key":"A","secret_key":"S","security_token":null}}`,
		aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", CanExpire: true, Expires: parseNow.Add(768 * time.Hour)}},
	{"lines", "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=S\nAWS_SESSION_TOKEN=T\nAWS_CREDENTIAL_EXPIRATION=2030-01-02T03:04:05Z\n",
		aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"export lines", "export AWS_ACCESS_KEY_ID=A\nexport AWS_SECRET_ACCESS_KEY=S\nexport AWS_SESSION_TOKEN=T\nexport AWS_CREDENTIAL_EXPIRATION=2030-01-02T03:04:05+00:00\n",
		aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"quotes, semicolons, other lines", "# hello\r\nLogged in as ann\r\nexport\tAWS_ACCESS_KEY_ID=\"A\";\r\nAWS_SECRET_ACCESS_KEY='S=/+' ;\r\nAWS_SECURITY_TOKEN=T==\r\nAWS_REGION=x\r\n",
		aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S=/+", SessionToken: "T=="}},
	{"both token names", "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=S\nAWS_SESSION_TOKEN=T\nAWS_SECURITY_TOKEN=T", aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T"}},
	{"credentials file", "[default]\naws_access_key_id = A\naws_secret_access_key = S\naws_session_token = T\n", aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T"}},
	{"agent of a container", `{"RoleArn":"x","AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"2030-01-02T03:04:05Z"}`, aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"metadata service", `{"Code":"Success","LastUpdated":"2029-01-02T03:04:05Z","Type":"AWS-HMAC","AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"2030-01-02T03:04:05Z"}`, aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"boto3-refresh-session, elhaz", `{"access_key": "A", "secret_key": "S", "token": "T", "expiry_time": "2030-01-02T03:04:05+00:00"}`, aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"gimme-aws-creds", `{"credentials":{"aws_access_key_id":"A","aws_secret_access_key":"S","aws_session_token":"T","aws_security_token":"T","expiration":"2030-01-02T03:04:05+00:00"},"profile":{"name":"x"},"role":{"arn":"y"}}`, aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"seconds", `{"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T","Expiration":1893553445}`, aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"seconds as text", `{"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T","Expiration":"1893553445"}`, aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"no zone", `{"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T","Expiration":"2030-01-02T03:04:05"}`, aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"Vault, a ttl alone", `{"lease_duration":0,"data":{"access_key":"A","secret_key":"S","security_token":"T","ttl":3599}}`,
		aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseNow.Add(3599 * time.Second)}},
	{"vault read -field=data", `{"access_key":"A","arn":"x","secret_key":"S","security_token":"T","session_token":"T","ttl":3599}`,
		aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseNow.Add(3599 * time.Second)}},
	{"expiration in a line", "[default]\naws_access_key_id = A\naws_secret_access_key = S\naws_session_token = T\nexpiration = 2030-01-02 03:04:05\n", aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"seconds in a line", "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=S\nAWS_SESSION_TOKEN=T\nAWS_SESSION_EXPIRATION=1893553445", aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"several in a line", "export AWS_ACCESS_KEY_ID='A' AWS_SECRET_ACCESS_KEY='S' AWS_SESSION_TOKEN='T' AWS_SESSION_EXPIRATION='2030-01-02T03:04:05+0000'", aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"several statements in a line", `AWS_ACCESS_KEY_ID=A; export AWS_ACCESS_KEY_ID; AWS_SECRET_ACCESS_KEY="S"; export AWS_SECRET_ACCESS_KEY && export AWS_SESSION_TOKEN=T;`, aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T"}},
	{"export -p", "declare -x AWS_ACCESS_KEY_ID=\"A\"\ndeclare -x AWS_SECRET_ACCESS_KEY=\"S\"\ndeclare -x OLDPWD\n", aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S"}},
	{"export-credentials --format powershell", "$Env:AWS_ACCESS_KEY_ID=\"A\"\r\n$Env:AWS_SECRET_ACCESS_KEY=\"S\"\r\n$Env:AWS_SESSION_TOKEN=\"T\"\r\n$Env:AWS_CREDENTIAL_EXPIRATION=\"2030-01-02T03:04:05+00:00\"\r\n", aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"PowerShell, by hand", "$env:AWS_ACCESS_KEY_ID = 'A'; $env:AWS_SECRET_ACCESS_KEY = 'S'; $env:AWS_SESSION_TOKEN = 'T'", aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T"}},
	{"export-credentials --format windows-cmd", "set AWS_ACCESS_KEY_ID=A\r\nset AWS_SECRET_ACCESS_KEY=S\r\nset AWS_SESSION_TOKEN=T\r\nset AWS_CREDENTIAL_EXPIRATION=2030-01-02T03:04:05+00:00\r\n", aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"cmd.exe", "SET A=x\r\nSET AWS_ACCESS_KEY_ID=A&& SET \"AWS_SECRET_ACCESS_KEY=S\"", aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S"}},
	{"export-credentials --format fish", "set -gx AWS_ACCESS_KEY_ID A\nset -gx AWS_SECRET_ACCESS_KEY S\nset -gx AWS_SESSION_TOKEN T\nset -gx AWS_CREDENTIAL_EXPIRATION 2030-01-02T03:04:05+00:00\n", aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"csh", "setenv AWS_ACCESS_KEY_ID 'A';\nsetenv AWS_SECRET_ACCESS_KEY \"S\"; # of ann's", aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S"}},
	{"greetings", "It's ann; AWS_PROFILE=x\nYour AWS_ACCESS_KEY_ID=B is below\n# export AWS_ACCESS_KEY_ID=B\nAWS_ACCESS_KEY_ID=A # the key\nAWS_SECRET_ACCESS_KEY=S", aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S"}},
	{"an expiry left behind", "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=S\nAWS_SESSION_TOKEN=T\nAWS_SESSION_EXPIRATION=2020-01-01T00:00:00Z\nAWS_CREDENTIAL_EXPIRATION=2030-01-02T03:04:05Z", aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
	{"an expiry left behind, after the other", "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=S\nAWS_SESSION_TOKEN=T\nAWS_CREDENTIAL_EXPIRATION=2030-01-02T03:04:05Z\nAWS_SESSION_EXPIRATION=2020-01-01T00:00:00Z", aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", SessionToken: "T", CanExpire: true, Expires: parseEnd}},
}

func TestParseOutput(t *testing.T) {
	t.Parallel()
	for _, tt := range outputs {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseOutput([]byte(tt.out), parseNow)
			tt.want.Source = "Command"
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("error %v, (-want +got):\n%s", err, diff)
			}
		})
	}
}

// badOutputs hold shortSecret wherever something can be wrong.
var badOutputs = []struct{ name, out, want string }{
	{"nothing", "", errNoKeys.Error()},
	{"words", "please log in " + shortSecret, errNoKeys.Error()},
	{"other lines", "FOO=" + shortSecret, errNoKeys.Error()},
	{"empty object", "{}", errNoKeys.Error()},
	{"list", `["` + shortSecret + `"]`, errNoKeys.Error()},
	{"no secret", `{"AccessKeyId":"` + shortSecret + `"}`, "no secret access key"},
	{"no key id", "AWS_SECRET_ACCESS_KEY=" + shortSecret, "no access key id"},
	{"Vault without keys", `{"data":{"username":"x","password":"` + shortSecret + `"}}`, errNoKeys.Error()},
	{"broken JSON", `{"AccessKeyId":"A","SecretAccessKey":"` + shortSecret + `}`, "broken JSON (at byte 47 of 47)"},
	{"JSON and more", `{"AccessKeyId":"A","SecretAccessKey":"` + shortSecret + `"} done`, "broken JSON"},
	{"number for a key", `{"AccessKeyId":12,"SecretAccessKey":"` + shortSecret + `"}`, "JSON with a value of the wrong type"},
	{"text for an object", `{"Credentials":"` + shortSecret + `"}`, "JSON with a value of the wrong type"},
	{"version", `{"Version":2,"AccessKeyId":"A","SecretAccessKey":"` + shortSecret + `"}`, errVersion.Error()},
	{"version as text", `{"Version":"` + shortSecret + `"}`, "JSON with a value of the wrong type"},
	{"secret for a time", `{"AccessKeyId":"A","SecretAccessKey":"S","Expiration":"` + shortSecret + `"}`, errTime.Error()},
	{"object for a time", `{"AccessKeyId":"A","SecretAccessKey":"S","Expiration":{"a":"` + shortSecret + `"}}`, errTime.Error()},
	{"absurd time", `{"AccessKeyId":"A","SecretAccessKey":"S","Expiration":1e300}`, errTime.Error()},
	{"secret for a time in a line", "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=S\nAWS_CREDENTIAL_EXPIRATION=" + shortSecret, errTime.Error()},
	{"two sets", "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=S\nAWS_ACCESS_KEY_ID=" + shortSecret, "two values for AWS_ACCESS_KEY_ID"},
	{"two sets of different names", `{"AccessKeyId":"A","access_key":"B","SecretAccessKey":"` + shortSecret + `"}`, "two values for AWS_ACCESS_KEY_ID"},
	{"several in a line, two sets", "export AWS_ACCESS_KEY_ID=A AWS_SECRET_ACCESS_KEY=" + shortSecret + " AWS_ACCESS_KEY_ID=B", "two values for AWS_ACCESS_KEY_ID"},
	{"no token", `{"AccessKeyId":"ASIA1","SecretAccessKey":"` + shortSecret + `"}`, errTokenless.Error()},
	{"no token in lines", "AWS_ACCESS_KEY_ID=ASIA1\nAWS_SECRET_ACCESS_KEY=" + shortSecret, errTokenless.Error()},
	{"no time", `{"AccessKeyId":"A","SecretAccessKey":"S","Expiration":"0001-01-01T00:00:00Z"}`, errTime.Error()},
	{"zero", `{"AccessKeyId":"A","SecretAccessKey":"S","Expiration":0}`, errTime.Error()},
	{"list for a time", `{"AccessKeyId":"A","SecretAccessKey":"S","expiry_time":["` + shortSecret + `"]}`, errTime.Error()},
	{"negative lease", `{"lease_duration":-5,"data":{"access_key":"A","secret_key":"` + shortSecret + `"}}`, errTime.Error()},
	{"huge lease", `{"lease_duration":1e308,"data":{"access_key":"A","secret_key":"` + shortSecret + `"}}`, errTime.Error()},
	{"negative ttl", `{"lease_duration":0,"data":{"access_key":"A","secret_key":"` + shortSecret + `","ttl":-1}}`, errTime.Error()},
	{"no time in a line", "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=S\nexpiration=" + shortSecret, errTime.Error()},
	{"space in a key", "AWS_ACCESS_KEY_ID=A B\nAWS_SECRET_ACCESS_KEY=" + shortSecret, errBadKeys.Error()},
	{"newline in a token", `{"AccessKeyId":"A","SecretAccessKey":"` + shortSecret + `","SessionToken":"a\nb"}`, errBadKeys.Error()},
}

func TestParseOutputErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range badOutputs {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseOutput([]byte(tt.out), parseNow)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || got != (aws.Credentials{}) {
				t.Fatalf("parseOutput = %+v, %v; want %q", got, err, tt.want)
			}
			presentable(t, err.Error())
		})
	}
}

func FuzzParseOutput(f *testing.F) {
	for _, tt := range outputs {
		f.Add([]byte(tt.out))
	}
	for _, tt := range badOutputs {
		f.Add([]byte(tt.out))
	}
	f.Fuzz(func(t *testing.T, out []byte) {
		c, err := parseOutput(out, parseNow)
		if err != nil {
			presentable(t, err.Error())
			if len(err.Error()) > 100 {
				t.Errorf("long error %q", err)
			}
			return
		}
		if !c.HasKeys() {
			t.Errorf("no keys, and no error: %+v", c)
		}
		if c.CanExpire == c.Expires.IsZero() {
			t.Errorf("CanExpire %v, Expires %s", c.CanExpire, c.Expires)
		}
		if c.CanExpire && (c.Expires.Year() < 1969 || c.Expires.Year() > 9999) {
			t.Errorf("Expires %s cannot be written down", c.Expires)
		}
		if strings.ContainsFunc(c.AccessKeyID+c.SecretAccessKey+c.SessionToken, unprintable) {
			t.Errorf("keys %+v would break the lines that they are written in", c)
		}
	})
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]time.Time{
		"2030-01-02T03:04:05Z":          parseEnd,
		" 2030-01-02T03:04:05Z\n":       parseEnd,
		"2030-01-02T03:04:05.000Z":      parseEnd,
		"2030-01-02T04:04:05+01:00":     parseEnd,
		"2030-01-02T04:04:05+0100":      parseEnd,
		"2030-01-02 03:04:05+00:00":     parseEnd,
		"2030-01-02 05:04:05+0200":      parseEnd,
		"2030-01-02T03:04:05":           parseEnd,
		"2030-01-02 03:04:05":           parseEnd,
		"2030-01-02T03:04:05.000000":    parseEnd,
		"1893553445":                    parseEnd,
		"1893553445.0":                  parseEnd,
		"1893553445000":                 parseEnd,
		"1893553445000000":              {},
		"-1893553445":                   {},
		"0":                             {},
		"3600":                          {},
		"NaN":                           {},
		"Inf":                           {},
		"0001-01-01T00:00:00Z":          {},
		"10000-01-01T00:00:00Z":         {},
		"":                              {},
		"0000-01-01T00:00:00Z":          {},
		"Wed, 02 Jan 2030 03:04:05 GMT": {},
	} {
		got, err := parseTime(in)
		if !got.Equal(want) || (err != nil) != want.IsZero() || err != nil && !errors.Is(err, errTime) {
			t.Errorf("parseTime(%q) = %s, %v, want %s", in, got, err, want)
		}
	}
}
