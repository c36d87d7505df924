package sign

import (
	"context"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// TestLocal: a profile's keys stay the same and look like AWS's, and are another profile's in nothing.
func TestLocal(t *testing.T) {
	t.Parallel()
	k := newKeys()
	one, again, other := k.localOf("a"), k.localOf("a"), k.localOf("b")
	if one != again || one.AccessKeyID == other.AccessKeyID || one.SecretAccessKey == other.SecretAccessKey {
		t.Errorf("a has %v, then %v, b has %v", one, again, other)
	}
	if one.SessionToken != "" || one.CanExpire {
		t.Errorf("they end: %+v", one)
	}
	issued := k.issue("a", time.Minute, time.Unix(0, 0))
	if issued.SessionToken == "" || !issued.Expires.Equal(time.Unix(60, 0)) {
		t.Errorf("issued for a minute: %+v", issued)
	}
	for _, c := range []aws.Credentials{one, other, issued} {
		if !regexp.MustCompile(`^A[KS]IA[A-Z2-7]{16}$`).MatchString(c.AccessKeyID) || !regexp.MustCompile(`^[0-9a-f]{40}$`).MatchString(c.SecretAccessKey) {
			t.Errorf("%s does not look like a key of AWS's", c.AccessKeyID)
		}
		if l := k.find(c.AccessKeyID); l == nil || l.Credentials != c {
			t.Errorf("%s is not found", c.AccessKeyID)
		}
	}
	for range maxKeys {
		k.issue("a", time.Minute, time.Unix(0, 0))
	}
	if k.find(issued.AccessKeyID) != nil || len(k.byID) != maxKeys+2 {
		t.Errorf("%d are remembered", len(k.byID))
	}
}

// TestExpired: a request waits for the next delivery where the credentials have expired, though not for ever.
func TestExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKeys()
		set := func(id string, life time.Duration) {
			if err := k.deliver(map[string]aws.Credentials{"p": {AccessKeyID: id, SecretAccessKey: "x", CanExpire: true, Expires: time.Now().Add(life)}}); err != nil {
				t.Fatal(err)
			}
		}
		expect := func(what, id string, after time.Duration, failure error) {
			t.Helper()
			begin := time.Now()
			c, err := k.of(t.Context(), "p")
			if c.AccessKeyID != id || !errors.Is(err, failure) || time.Since(begin) != after {
				t.Errorf("%s: %s, %v after %v; want %s after %v", what, c.AccessKeyID, err, time.Since(begin), id, after)
			}
		}
		expect("nothing delivered", "", refreshWait, errNoCredentials)
		set("one", time.Minute)
		expect("valid", "one", 0, nil)
		time.Sleep(time.Minute)
		expect("expired", "one", refreshWait, nil)
		time.AfterFunc(time.Second, func() { set("two", time.Minute) })
		expect("refreshed meanwhile", "two", time.Second, nil)
		time.Sleep(time.Minute)
		time.AfterFunc(time.Second, func() { set("three", -time.Minute) })
		expect("refreshed by such that have expired", "three", refreshWait, nil)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		if _, err := k.of(ctx, "p"); !errors.Is(err, context.Canceled) || time.Since(begin) != time.Second {
			t.Errorf("a client that is gone: %v after %v", err, time.Since(begin))
		}
		if err := k.deliver(map[string]aws.Credentials{"p": {}}); err != nil {
			t.Fatal(err)
		}
		expect("taken away", "", refreshWait, errNoCredentials)
		if err := k.deliver(map[string]aws.Credentials{"p": {AccessKeyID: "half"}}); err == nil {
			t.Error("half of the keys are taken")
		}
	})
}

// TestDeliver: requests are signed with what was delivered last, each with its own profile's.
func TestDeliver(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		w, base, client := way.start(t, Options{})
		ask := func(profile string) int {
			r := newRequest(t, "GET", base+"/b/k", "")
			sign(t, r, w.Local(profile), hashOf(""), "s3", "us-east-1", time.Now())
			status, _ := do(t, client, r)
			return status
		}
		for _, id := range []string{"ASIAONE", "ASIATWO"} {
			keys := aws.Credentials{AccessKeyID: id, SecretAccessKey: "secret of " + id}
			if err := w.Deliver(t.Context(), map[string]aws.Credentials{"q": keys}); err != nil {
				t.Fatal(err)
			}
			for profile, keys := range map[string]aws.Credentials{"p": real, "q": keys} {
				w.service.keys = keys
				if status := ask(profile); status != 200 {
					t.Errorf("%s, %s: %d", way.name, profile, status)
				}
				for _, r := range w.service.requests() {
					if r.Header.Get("X-Amz-Security-Token") != keys.SessionToken {
						t.Errorf("%s, %s: with another session token", way.name, profile)
					}
				}
			}
		}
	}
}

const assumed = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser><Arn>a</Arn>` +
	`</AssumedRoleUser><Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>role/secret+</SecretAccessKey>` +
	`<SessionToken>role/token==</SessionToken><Expiration>2040-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`

// TestAssumedRole: what the command signs with credentials that it got through here goes on as well.
func TestAssumedRole(t *testing.T) {
	t.Parallel()
	role := aws.Credentials{AccessKeyID: "ASIAROLE", SecretAccessKey: "role/secret+", SessionToken: "role/token=="}
	for _, way := range ways {
		for _, unsigned := range []bool{false, true} {
			w, base, client := way.start(t, Options{Region: "us-east-1"})
			answer := assumed
			if unsigned {
				answer = strings.NewReplacer("AssumeRoleResponse", "AssumeRoleWithWebIdentityResponse", "AssumeRoleResult", "AssumeRoleWithWebIdentityResult").Replace(assumed)
			}
			w.service.then = func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, answer) }
			local := w.Local("p")
			c := sts.New(sts.Options{
				Region: "eu-west-1", BaseEndpoint: aws.String(base), HTTPClient: client, RetryMaxAttempts: 1,
				Credentials: credentials.NewStaticCredentialsProvider(local.AccessKeyID, local.SecretAccessKey, ""),
			})
			var err error
			if unsigned {
				_, err = c.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{RoleArn: aws.String("r"), RoleSessionName: aws.String("s"), WebIdentityToken: aws.String("t")})
			} else {
				_, err = c.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String("r"), RoleSessionName: aws.String("s")})
			}
			if err != nil {
				t.Fatalf("%s: %v", way.name, err)
			}
			w.service.mu.Lock()
			w.service.keys, w.service.then = role, nil
			w.service.mu.Unlock()
			r := newRequest(t, "GET", base+"/b/k", "")
			sign(t, r, role, hashOf(""), "s3", "us-east-1", time.Now())
			if status, body := do(t, client, r); status != 200 {
				t.Errorf("%s, unsigned: %v: %d %s", way.name, unsigned, status, body)
			}
		}
	}
}

func TestReadCredentials(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, body, want string }{
		{"STS", assumed, "ASIAROLE role/secret+ role/token=="},
		{"SSO", `{"roleCredentials":{"accessKeyId":"A","secretAccessKey":"S","sessionToken":"T","expiration":1}}`, "A S T"},
		{"Cognito", `{"Credentials":{"AccessKeyId":"A","SecretKey":"S","SessionToken":"T","Expiration":1.5},"IdentityId":"i"}`, "A S T"},
		{"no token", `{"Credentials":{"AccessKeyId":"A","SecretKey":"S"}}`, ""},
		{"nothing", "", ""}, {"an array", "[1]", ""}, {"cut off", assumed[:200], ""}, {"JSON cut off", `{"a":{`, ""},
	} {
		got := ""
		if c, ok := readCredentials([]byte(tt.body), ""); ok {
			got = c.AccessKeyID + " " + c.SecretAccessKey + " " + c.SessionToken
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if _, ok := readCredentials([]byte(assumed), "gzip"); ok {
		t.Error("what is no gzip is read")
	}
}

func FuzzReadCredentials(f *testing.F) {
	f.Add([]byte(assumed))
	f.Add([]byte(`{"Credentials":{"AccessKeyId":"A","SecretKey":"S","SessionToken":"T"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if c, ok := readCredentials(body, ""); ok && (!c.HasKeys() || c.SessionToken == "") {
			t.Errorf("half of the keys: %+v", c)
		}
	})
}
