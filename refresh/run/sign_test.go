package run

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/writer"
)

var signDelivery = plan.Delivery{Name: "sign", Files: writer.File, Sign: true}

// openSigning opens the deliveries of a run with --deliver sign.
func openSigning(t *testing.T, pl plan.Plan) (*deliveries, *fakeRun) {
	t.Helper()
	pl.Deliver = signDelivery
	pl.Sign.Via = "both"
	r := newFakeRun(t, pl)
	ps, err := openProfiles(t.Context(), r.Options)
	if err != nil {
		t.Fatal(err)
	}
	if r.sign, err = checkSign(r.Options, ps); err != nil {
		t.Fatal(err)
	}
	p := &parts{log: r.Log}
	d, err := openDeliveries(t.Context(), r.Options, p, ps)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	for _, part := range d.parts() {
		if part.Name == "the signing proxy" {
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- part.Run(ctx) }()
			t.Cleanup(func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		}
	}
	return d, r
}

// deliver gives all deliveries what the engine would.
func deliver(t *testing.T, d *deliveries, sets map[string]aws.Credentials) {
	t.Helper()
	for _, one := range d.engine(func(_ string, d refresh.Delivery) refresh.Delivery { return d }) {
		if err := one.Deliver(t.Context(), sets); err != nil {
			t.Fatal(err)
		}
	}
}

func session(id string) aws.Credentials {
	return aws.Credentials{AccessKeyID: id, SecretAccessKey: "s3kr1t" + id, SessionToken: "t0k3n" + id, CanExpire: true, Expires: time.Now().Add(time.Hour)}
}

// seenIn is all that the command can see: its environment, and the files of the run.
func seenIn(t *testing.T, d *deliveries) string {
	t.Helper()
	all := strings.Join(d.environ(), "\n")
	files, err := filepath.Glob(filepath.Join(d.files.Dir(), "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all += "\n" + string(text)
	}
	return all
}

// linesWith are those lines of text that have a part; the others may be of the user's environment.
func linesWith(text, part string) (lines []string) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestSignKeepsKeys: with --deliver sign the command has local keys, in the environment and in
// the files, and no other, before and after a refresh. They stay the same.
func TestSignKeepsKeys(t *testing.T) {
	d, _ := openSigning(t, plan.Plan{})
	name := d.profiles.first().Name
	var before string
	for _, id := range []string{"ASIAREAL000000000001", "ASIAREAL000000000002"} {
		deliver(t, d, map[string]aws.Credentials{name: session(id)})
		all := seenIn(t, d)
		for _, real := range []string{id, "s3kr1t", "t0k3n", "aws_session_token", "AWS_SESSION_TOKEN"} {
			if strings.Contains(all, real) {
				t.Errorf("the command can see %s: %q", real, linesWith(all, real))
			}
		}
		local := d.local(name)
		for _, want := range []string{"aws_access_key_id = " + local.AccessKeyID, "aws_secret_access_key = " + local.SecretAccessKey} {
			if strings.Count(all, want) != 3 { // [default], [brs-exec] and [brs-static]
				t.Errorf("%q is there %d times, want 3", want, strings.Count(all, want))
			}
		}
		env := d.environ()
		if value(env, "AWS_ACCESS_KEY_ID") != local.AccessKeyID || value(env, "AWS_SECRET_KEY") != local.SecretAccessKey {
			t.Error("the environment has no local keys")
		}
		if before != "" && before != all {
			t.Error("a refresh has changed what the command sees")
		}
		before = all
	}
}

// TestSignList: each profile of a list has keys of its own, in the files alone, as long as it is
// on the list.
func TestSignList(t *testing.T) {
	d, _ := openSigning(t, plan.Plan{Profiles: []plan.Profile{{Name: "a", Where: "f:1"}, {Name: "b", Where: "f:2"}}})
	deliver(t, d, map[string]aws.Credentials{"a": session("ASIAREAL000000000001"), "b": session("ASIAREAL000000000002")})
	a, b := d.local("a"), d.local("b")
	if a.AccessKeyID == b.AccessKeyID {
		t.Errorf("both profiles have %s", a.AccessKeyID)
	}
	if env := d.environ(); slices.ContainsFunc(env, func(kv string) bool { return strings.Contains(kv, a.AccessKeyID) }) {
		t.Error("the environment has the keys of one")
	}
	if all := seenIn(t, d); !strings.Contains(all, "[b]\naws_access_key_id = "+b.AccessKeyID) {
		t.Errorf("b has not its keys: %q", linesWith(all, "aws_access_key_id"))
	}
	deliver(t, d, map[string]aws.Credentials{"b": {}})
	if all := seenIn(t, d); strings.Contains(all, b.AccessKeyID) || !strings.Contains(all, a.AccessKeyID) {
		t.Errorf("b is removed, and a is not: %q", linesWith(all, "aws_access_key_id"))
	}
}

// TestSignRefuses: what would keep requests from the listener, or the listener from AWS, is
// said before anybody is asked for credentials.
func TestSignRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		via  string
		env  map[string]string
		want string // "" for none
	}{
		{name: "FIPS", via: "endpoint", env: map[string]string{"AWS_USE_FIPS_ENDPOINT": "true"}, want: "--sign-via endpoint: with AWS_USE_FIPS_ENDPOINT SDKs refuse an endpoint of their own"},
		{name: "FIPS by the proxy", via: "both", env: map[string]string{"AWS_USE_FIPS_ENDPOINT": "true"}},
		{name: "no address", via: "both", env: map[string]string{"AWS_ENDPOINT_URL_S3": "localhost:9000"}, want: `AWS_ENDPOINT_URL_S3 or endpoint_url: "localhost:9000" is not the address of a server`},
		{name: "no bundle", via: "both", env: map[string]string{"AWS_CA_BUNDLE": "/no/such/file"}, want: "AWS_CA_BUNDLE: /no/such/file: no such file or directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newFakeRun(t, plan.Plan{Deliver: signDelivery, Sign: plan.Sign{Via: tt.via}})
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			r.source.begin = context.Canceled // a person would be asked
			_, err := r.run()
			if err == nil || tt.want != "" && err.Error() != tt.want || (tt.want == "") != (err == context.Canceled) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestSignNothingStale: local keys do not expire, whatever becomes of the credentials behind them. So
// there is no watch for stale clients, and a short lifetime is no matter of the log.
func TestSignNothingStale(t *testing.T) {
	d, r := openSigning(t, plan.Plan{Profiles: []plan.Profile{{OnStale: plan.Reaction{Act: plan.Restart}}}})
	if watch, part := watchStale(r.Plan, d, nil); watch != nil || part.Run != nil {
		t.Error("clients are watched")
	}
	part := logSigned(logEngine(d.profiles, r.Log, make(chan struct{})))
	part.Engine(refresh.Event{Kind: refresh.Short, Life: time.Minute}, true)
	part.Engine(refresh.Event{Kind: refresh.Early}, true)
	if lines := r.lines("level=WARN"); len(lines) != 1 || !strings.Contains(lines[0], "--refresh-before") {
		t.Errorf("logged %q, want one line about --refresh-before", lines)
	}
}
