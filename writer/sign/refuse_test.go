package sign

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/writer/sign/services"
)

// TestRefused: what AWS would refuse is refused as AWS does, and nothing is sent on.
func TestRefused(t *testing.T) {
	t.Parallel()
	only, err := services.ParseLimits("s3@us-east-1,dynamodb")
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			w, base, client := way.start(t, Options{Only: only})
			local := w.Local("p")
			changed := local
			changed.SecretAccessKey += "x"
			token := local
			token.SessionToken = "of another"
			ended := w.Issue("p", -time.Second)
			forged := w.Issue("p", time.Hour)
			forged.SessionToken += "x"
			now := time.Now()
			for _, tt := range []struct {
				name            string
				service, region string
				keys            aws.Credentials
				at              time.Time
				spoil           func(r *http.Request)
				code            string // in the protocol of S3
				status          int
			}{
				{"another secret", "s3", "us-east-1", changed, now, nil, "SignatureDoesNotMatch", 403},
				{"a header changed", "s3", "us-east-1", local, now, func(r *http.Request) { r.Header.Set("X-Amz-Meta-A", "2") }, "SignatureDoesNotMatch", 403},
				{"the path changed", "s3", "us-east-1", local, now, func(r *http.Request) { r.URL.Path = "/b/other" }, "SignatureDoesNotMatch", 403},
				{"the query changed", "s3", "us-east-1", local, now, func(r *http.Request) { r.URL.RawQuery = "acl" }, "SignatureDoesNotMatch", 403},
				{"old", "s3", "us-east-1", local, now.Add(-16 * time.Minute), nil, "RequestTimeTooSkewed", 403},
				{"signed ahead", "s3", "us-east-1", local, now.Add(16 * time.Minute), nil, "RequestTimeTooSkewed", 403},
				{"a token where there is none", "s3", "us-east-1", token, now, nil, "oken", 0},
				{"a token that is wrong", "s3", "us-east-1", forged, now, nil, "oken", 0},
				{"over", "s3", "us-east-1", ended, now, nil, "ExpiredToken", 0},
				{"malformed", "s3", "us-east-1", local, now, func(r *http.Request) {
					r.Header.Set("Authorization", strings.Split(r.Header.Get("Authorization"), ", Signature=")[0])
				}, "AuthorizationHeaderMalformed", 400},
				{"a service that is not allowed", "sqs", "us-east-1", local, now, nil, "AccessDenied", 0},
				{"a region that is not allowed", "s3", "eu-west-1", local, now, nil, "AccessDenied", 403},
				{"nor with other keys", "s3", "eu-west-1", real, now, nil, "", 403},
			} {
				r := newRequest(t, "GET", base+"/b/k", "")
				r.Header.Set("X-Amz-Meta-A", "1")
				r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
				sign(t, r, tt.keys, "UNSIGNED-PAYLOAD", tt.service, tt.region, tt.at)
				if tt.spoil != nil {
					tt.spoil(r)
				}
				status, body := do(t, client, r)
				if status < 400 || tt.status != 0 && status != tt.status || !strings.Contains(body, tt.code) {
					t.Errorf("%s: %d %s, want %d %s", tt.name, status, body, tt.status, tt.code)
				}
				if got := w.service.requests(); len(got) > 0 {
					t.Errorf("%s: it was sent on", tt.name)
				}
				if got := w.record(t); got.Refused == "" || got.Status != status || got.Service != tt.service {
					t.Errorf("%s: reported as %+v", tt.name, got)
				}
			}
			r := newRequest(t, "GET", base+"/b/k", "")
			sign(t, r, local, hashOf(""), "s3", "us-east-1", now)
			if status, body := do(t, client, r); status != 200 {
				t.Errorf("what is allowed: %d %s", status, body)
			}
		})
	}
}

// TestOtherKeys: in the proxy way requests of others pass unchanged, in the endpoint way they are refused by an error that
// says what helps.
func TestOtherKeys(t *testing.T) {
	t.Parallel()
	other := aws.Credentials{AccessKeyID: "AKIAOTHER", SecretAccessKey: "other"}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			w, base, client := way.start(t, Options{})
			for name, prepare := range map[string]func(r *http.Request){
				"another's keys": func(r *http.Request) { sign(t, r, other, hashOf("body"), "s3", "us-east-1", time.Now()) },
				"no signature":   func(r *http.Request) {},
				"a password":     func(r *http.Request) { r.SetBasicAuth("u", "p") },
				"a bearer token": func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") },
				"SigV2":          func(r *http.Request) { r.Header.Set("Authorization", "AWS AKIAOTHER:x") },
				"presigned": func(r *http.Request) {
					r.URL.RawQuery = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAOTHER%2F20200101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20200101T000000Z" +
						"&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00"
				},
				"malformed": func(r *http.Request) { r.Header.Set("Authorization", "AWS4-HMAC-SHA256 x") },
			} {
				r := newRequest(t, "POST", base+"/b/k", "body")
				prepare(r)
				status, body := do(t, client, r)
				got := w.service.requests()
				w.record(t)
				if way.endpoint {
					if status < 400 || len(got) > 0 || name != "malformed" && !strings.Contains(body, "proxy") {
						t.Errorf("%s: %d %s", name, status, body)
					}
					continue
				}
				if name == "malformed" {
					if status != 599 { // it is the service that refuses it
						t.Errorf("%s: %d %s", name, status, body)
					}
					continue
				}
				if status != 200 || len(got) != 1 || got[0].Header.Get("Authorization") != r.Header.Get("Authorization") || got[0].URL.RawQuery != r.URL.RawQuery {
					t.Errorf("%s: %d %s", name, status, body)
				}
			}
		})
	}
}

// TestVersion2: AWS would say of local keys in Signature Version 2 that it does not know them, which nobody understands.
func TestVersion2(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			w, base, client := way.start(t, Options{})
			id := w.Local("p").AccessKeyID
			for name, r := range map[string]*http.Request{
				"header":    newRequest(t, "GET", base+"/b/k", ""),
				"presigned": newRequest(t, "GET", base+"/b/k?AWSAccessKeyId="+id+"&Signature=x%3D&Expires=1796037983", ""),
			} {
				if name == "header" {
					r.Header.Set("Authorization", "AWS "+id+":x=")
				}
				status, body := do(t, client, r)
				if status != 400 || !strings.Contains(body, "<Code>InvalidRequest</Code>") || !strings.Contains(body, "signature_version = s3v4") || len(w.service.requests()) > 0 {
					t.Errorf("%s: %d %s", name, status, body)
				}
				if got := w.record(t); got.Refused != "InvalidRequest" {
					t.Errorf("%s: reported as %+v", name, got)
				}
			}
		})
	}
}

// TestPresigned: the query form is signed in the query again, also long after it was made.
func TestPresigned(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		w, base, client := way.start(t, Options{})
		for _, tt := range []struct {
			age  time.Duration
			want int
		}{{0, 200}, {59 * time.Minute, 200}, {61 * time.Minute, 403}} {
			r := newRequest(t, "GET", base+"/b/a%20key?X-Amz-Expires=3600", "")
			url, headers, err := presign(t, r, w.Local("p"), time.Now().Add(-tt.age))
			if err != nil {
				t.Fatal(err)
			}
			r = newRequest(t, "GET", url, "")
			for name, values := range headers {
				if name != "Host" {
					r.Header[name] = values
				}
			}
			status, body := do(t, client, r)
			if status != tt.want {
				t.Errorf("%s, of %v ago: %d %s", way.name, tt.age, status, body)
			}
			for _, got := range w.service.requests() {
				if q := got.URL.Query(); got.Header.Get("Authorization") != "" || q.Get("X-Amz-Security-Token") != real.SessionToken || q.Get("X-Amz-Expires") != "3600" {
					t.Errorf("%s: the service gets %s", way.name, got.RequestURI)
				}
			}
		}
	}
}

// TestDate: clients set their clocks by the Date of a refusal, so it is the services' time.
func TestDate(t *testing.T) {
	t.Parallel()
	w, base, client := ways[0].start(t, Options{})
	ahead := time.Now().Add(time.Hour)
	w.service.then = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", ahead.UTC().Format(http.TimeFormat))
	}
	ask := func(at time.Time) *http.Response {
		r := newRequest(t, "GET", base+"/b/k", "")
		sign(t, r, w.Local("p"), hashOf(""), "s3", "us-east-1", at)
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer
	}
	if got := ask(time.Now()); got.StatusCode != 200 {
		t.Errorf("by our clock: %s", got.Status)
	}
	got := ask(time.Now())
	at, err := http.ParseTime(got.Header.Get("Date"))
	if got.StatusCode != 403 || err != nil || ahead.Sub(at).Abs() > 10*time.Minute {
		t.Errorf("by our clock, once the service's is known: %s, dated %v", got.Status, at)
	}
	if got := ask(ahead); got.StatusCode != 200 {
		t.Errorf("by the service's clock: %s", got.Status)
	}
	w.service.then = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	ask(ahead)
	if got := ask(time.Now()); got.StatusCode != 200 {
		t.Errorf("when the clocks agree again: %s", got.Status)
	}
}
