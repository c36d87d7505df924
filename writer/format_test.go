package writer

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
)

var (
	noon    = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	session = aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "se/cr+et=", SessionToken: "tok", CanExpire: true,
		Expires: noon.Add(time.Hour).In(time.FixedZone("", 3600))}
	longTerm = aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "se/cr+et="}
)

func TestFormat(t *testing.T) {
	t.Parallel()
	ini := func(c aws.Credentials) string {
		b, err := FormatINI(c, "my section")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	process := func(c aws.Credentials) string {
		b, err := FormatProcess(c, noon)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, tt := range []struct{ name, got, want string }{
		{"process", process(session), `{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"se/cr+et=","SessionToken":"tok","Expiration":"2026-01-02T12:58:00Z"}` + "\n"},
		{"process, long-term", process(longTerm), `{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"se/cr+et="}` + "\n"},
		{"env", string(FormatEnv(session)), "export AWS_ACCESS_KEY_ID='AKID'\nexport AWS_SECRET_ACCESS_KEY='se/cr+et='\nexport AWS_SESSION_TOKEN='tok'\nexport AWS_CREDENTIAL_EXPIRATION='2026-01-02T13:00:00Z'\n"},
		{"env, long-term", string(FormatEnv(longTerm)), "export AWS_ACCESS_KEY_ID='AKID'\nexport AWS_SECRET_ACCESS_KEY='se/cr+et='\nunset AWS_SESSION_TOKEN\nunset AWS_CREDENTIAL_EXPIRATION\n"},
		{"ini", ini(session), "[my section]\n# expires 2026-01-02T13:00:00Z\naws_access_key_id = AKID\naws_secret_access_key = se/cr+et=\naws_session_token = tok\n"},
		{"ini, long-term", ini(longTerm), "[my section]\naws_access_key_id = AKID\naws_secret_access_key = se/cr+et=\n"},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestFormatErrors(t *testing.T) {
	t.Parallel()
	if b, err := FormatProcess(session, noon.Add(time.Hour)); err == nil {
		t.Errorf("FormatProcess of expired credentials = %s", b)
	}
	for _, section := range []string{"", "a]", "a\nb"} {
		if b, err := FormatINI(longTerm, section); err == nil {
			t.Errorf("FormatINI(%q) = %s", section, b)
		}
	}
	bad := session
	bad.SessionToken = "hidden\n"
	if b, err := FormatINI(bad, "x"); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("FormatINI of a token with a line break = %s, %v", b, err)
	}
}

// A shell must get back whatever the values hold, and lose what it had.
func TestFormatEnvInAShell(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no sh")
	}
	nasty := longTerm
	nasty.SecretAccessKey = `'"$HOME` + "`id`\\ \n\t$(id) ;&|<>*?[]!#~'"
	cmd := exec.Command(sh, "-c", string(FormatEnv(nasty))+`printf %s "$AWS_SECRET_ACCESS_KEY"; printf %s "${AWS_SESSION_TOKEN-unset}"`)
	cmd.Env = append(os.Environ(), "AWS_SESSION_TOKEN=old")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("sh: %v, %s", err, &stderr)
	}
	if diff := cmp.Diff(nasty.SecretAccessKey+"unset", string(out)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
