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
}

func TestParseOutput(t *testing.T) {
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
	{"no secret", `{"AccessKeyId":"` + shortSecret + `"}`, "prints no secret access key"},
	{"no key id", "AWS_SECRET_ACCESS_KEY=" + shortSecret, "prints no access key id"},
	{"Vault without keys", `{"data":{"username":"x","password":"` + shortSecret + `"}}`, errNoKeys.Error()},
	{"broken JSON", `{"AccessKeyId":"A","SecretAccessKey":"` + shortSecret + `}`, "prints broken JSON (at byte 47 of 47)"},
	{"JSON and more", `{"AccessKeyId":"A","SecretAccessKey":"` + shortSecret + `"} done`, "prints broken JSON"},
	{"number for a key", `{"AccessKeyId":12,"SecretAccessKey":"` + shortSecret + `"}`, "prints JSON with a value of the wrong type"},
	{"text for an object", `{"Credentials":"` + shortSecret + `"}`, "prints JSON with a value of the wrong type"},
	{"version", `{"Version":2,"AccessKeyId":"A","SecretAccessKey":"` + shortSecret + `"}`, errVersion.Error()},
	{"version as text", `{"Version":"` + shortSecret + `"}`, "prints JSON with a value of the wrong type"},
	{"secret for a time", `{"AccessKeyId":"A","SecretAccessKey":"S","Expiration":"` + shortSecret + `"}`, errTime.Error()},
	{"object for a time", `{"AccessKeyId":"A","SecretAccessKey":"S","Expiration":{"a":"` + shortSecret + `"}}`, errTime.Error()},
	{"absurd time", `{"AccessKeyId":"A","SecretAccessKey":"S","Expiration":1e300}`, errTime.Error()},
	{"secret for a time in a line", "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=S\nAWS_CREDENTIAL_EXPIRATION=" + shortSecret, errTime.Error()},
	{"two sets", "AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=S\nAWS_ACCESS_KEY_ID=" + shortSecret, "prints two values for AWS_ACCESS_KEY_ID"},
	{"space in a key", "AWS_ACCESS_KEY_ID=A B\nAWS_SECRET_ACCESS_KEY=" + shortSecret, errBadKeys.Error()},
	{"newline in a token", `{"AccessKeyId":"A","SecretAccessKey":"` + shortSecret + `","SessionToken":"a\nb"}`, errBadKeys.Error()},
}

func TestParseOutputErrors(t *testing.T) {
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
	for in, want := range map[string]time.Time{
		"2030-01-02T03:04:05Z":          parseEnd,
		" 2030-01-02T03:04:05Z\n":       parseEnd,
		"2030-01-02T03:04:05.000Z":      parseEnd,
		"2030-01-02T04:04:05+01:00":     parseEnd,
		"2030-01-02T04:04:05+0100":      parseEnd,
		"2030-01-02 03:04:05+00:00":     parseEnd,
		"2030-01-02 05:04:05+0200":      parseEnd,
		"2030-01-02T03:04:05":           {},
		"1893553445":                    {},
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
