//go:build unix

package integration

import (
	"strings"
	"testing"
	"time"
)

// TestInstanceRegion: on an instance the region is known to the metadata service
// alone, and the command is kept from that. The instance is a brs-exec that
// emulates one; the one under test has nothing but its address.
func TestInstanceRegion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	inner := []string{
		"env", "-u", "AWS_REGION", "-u", "AWS_DEFAULT_REGION", "-u", "AWS_CONFIG_FILE", "-u", "AWS_SHARED_CREDENTIALS_FILE",
		brsExec(t), "--", "sh", "-c", `echo "$AWS_REGION $AWS_DEFAULT_REGION $AWS_EC2_METADATA_DISABLED ${AWS_EC2_METADATA_SERVICE_ENDPOINT-none}"`,
	}
	p := w.brsExec(append([]string{"--role-arn", roleARN, "--region", "eu-west-7", "--deliver", "imds", "--"}, inner...)...)
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.stderr.String())
	}
	if got, want := strings.TrimSpace(p.stdout.String()), "eu-west-7 eu-west-7 true none"; got != want {
		t.Errorf("the command sees %q, want %q", got, want)
	}
}

// TestCredentialsOfItself: AWS_PROFILE may name a profile whose credential_process is a brs-exec
// that reads AWS_PROFILE. Each tells the next how many there are, and the fifth refuses.
func TestCredentialsOfItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, time.Hour)
	w.reveals = true // the number, as the ID of a key
	w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	const count = `sh -c 'echo "{\"Version\":1,\"AccessKeyId\":\"$_BRS_EXEC_NESTED\",\"SecretAccessKey\":\"x\"}"'`
	w.write("config", "[profile app]\ncredential_process = "+count+"\n")
	for _, args := range [][]string{{"--profile", "app"}, {"--credential-command", count}} {
		for _, tt := range []struct{ nested, want string }{{"", "1"}, {"1", "2"}, {"3", "4"}} {
			w.env["_BRS_EXEC_NESTED"] = tt.nested
			p := w.brsExec(append([]string{"credentials"}, args...)...)
			if code := p.exit(); code != 0 || !strings.Contains(p.stdout.String(), `"AccessKeyId":"`+tt.want+`"`) {
				t.Errorf("%q below %q: exit code %d, %s%s", args, tt.nested, code, p.stdout.String(), p.stderr.String())
			}
		}
		w.env["_BRS_EXEC_NESTED"] = "4"
		p := w.brsExec(append([]string{"credentials"}, args...)...)
		if code := p.exit(); code != 125 || !strings.Contains(p.stderr.String(), "a credential_process runs itself: 4 brs-exec credentials wait for each other\n") {
			t.Errorf("%q as the fifth: exit code %d, %s%s", args, code, p.stdout.String(), p.stderr.String())
		}
	}
}
