//go:build unix

package integration

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"
)

// refusedCodes are what boto3 says of each class of refusal, by service: "STATUS CODE".
var refusedCodes = map[string]map[string]string{
	"signature":   badSignature,
	"secret":      badSignature,
	"date":        badSignature,
	"added-query": badSignature,
	// S3's clients say the hash of what they send: it is S3 that compares it.
	"body=sts,dynamodb,ec2,lambda,route53,secretsmanager,cloudwatch": badSignature,

	"old":        badTime,
	"early":      badTime,
	"cut-header": badHeader,
	"scope":      badHeader,
}

var badSignature = map[string]string{
	"s3": "403 SignatureDoesNotMatch", "sts": "403 SignatureDoesNotMatch", "route53": "403 SignatureDoesNotMatch",
	"dynamodb": "400 InvalidSignatureException", "secretsmanager": "400 InvalidSignatureException", "lambda": "403 InvalidSignatureException",
	"ec2": "401 AuthFailure", "cloudwatch": "400 SignatureDoesNotMatch",
}

var badTime = map[string]string{
	"s3": "403 RequestTimeTooSkewed", "sts": "403 SignatureDoesNotMatch", "route53": "403 SignatureDoesNotMatch",
	"dynamodb": "400 InvalidSignatureException", "secretsmanager": "400 InvalidSignatureException", "lambda": "403 InvalidSignatureException",
	"ec2": "401 AuthFailure", "cloudwatch": "400 SignatureDoesNotMatch",
}

var badHeader = map[string]string{
	"s3": "400 AuthorizationHeaderMalformed", "sts": "403 IncompleteSignature", "route53": "403 IncompleteSignature",
	"dynamodb": "400 IncompleteSignatureException", "secretsmanager": "400 IncompleteSignatureException", "lambda": "403 IncompleteSignatureException",
	"ec2": "401 AuthFailure", "cloudwatch": "400 IncompleteSignature",
}

// TestSignRefuses: what is not signed as it should be is refused in the words of its protocol, as
// an SDK reads them, and nothing of it is sent on.
func TestSignRefuses(t *testing.T) {
	t.Parallel()
	python := program(t, "python")
	for _, way := range []string{byProxy, byEndpoint} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, time.Hour)
			var kinds []string
			for kind := range refusedCodes {
				kinds = append(kinds, kind)
			}
			slices.Sort(kinds)
			p := c.brsExec(append([]string{"--role-arn", roleARN, "--deliver", "sign", "--sign-via", way, "--",
				python, source("boto3", "refused.py")}, append(kinds, "good=s3,sts,dynamodb")...)...)
			if code := p.exit(); code != 0 {
				t.Fatalf("exit code %d\n%s", code, p.stderr.String())
			}
			good := 0
			for _, line := range p.stdout.lines() {
				kind, rest, _ := strings.Cut(line, " ")
				name, got, _ := strings.Cut(rest, " ")
				if kind == "good" {
					good++
					if got != "200 -" {
						t.Errorf("%s, a good call: %s", name, got)
					}
					continue
				}
				codes := refusedCodes[kind]
				if kind == "body" {
					codes = badSignature
				}
				if want := codes[name]; got != want {
					t.Errorf("%s of %s: %s, want %s", kind, name, got, want)
				}
			}
			if want := 8*len(kinds) - 1 + 3; len(p.stdout.lines()) != want || good != 3 {
				t.Errorf("%d lines, want %d", len(p.stdout.lines()), want)
			}
			if sent := c.sent(); len(sent) != 3 {
				t.Errorf("these reached the server, want the three good ones: %v", sent)
			}
		})
	}
}

// TestSignOnly: --sign-only refuses what it does not name, whoever's keys it is signed with.
func TestSignOnly(t *testing.T) {
	t.Parallel()
	python := program(t, "python")
	for _, way := range []string{byProxy, byEndpoint} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			c := newCloud(t, time.Hour)
			p := c.brsExec("--role-arn", roleARN, "--deliver", "sign", "--sign-via", way, "--sign-only", "s3@us-east-1,sts", "--log-level", "info", "--",
				python, source("boto3", "refused.py"), "good", "region:eu-west-1=s3,sts")
			if code := p.exit(); code != 0 {
				t.Fatalf("exit code %d\n%s", code, p.stderr.String())
			}
			want := []string{
				"good s3 200 -",
				"good sts 200 -",
				"good dynamodb 400 AccessDeniedException",
				"good ec2 403 UnauthorizedOperation",
				"good lambda 403 AccessDeniedException",
				"good route53 403 AccessDenied",
				"good secretsmanager 400 AccessDeniedException",
				"good cloudwatch 400 AccessDenied",
				"region:eu-west-1 s3 403 AccessDenied",
				"region:eu-west-1 sts 200 -",
			}
			if diff := cmp.Diff(want, p.stdout.lines()); diff != "" {
				t.Errorf("the client sees (-want +got):\n%s", diff)
			}
			if sent := c.sent(); len(sent) != 3 {
				t.Errorf("these reached the server, want the three that are allowed: %v", sent)
			}
			for _, service := range []string{"dynamodb", "ec2", "lambda", "route53", "secretsmanager", "s3"} {
				if !strings.Contains(p.stderr.String(), service) {
					t.Errorf("nothing is said of %s on standard error:\n%s", service, p.stderr.String())
				}
			}
		})
	}
}

// TestSignOnlyForOthers: the limits hold for keys that the command has from elsewhere, too.
func TestSignOnlyForOthers(t *testing.T) {
	t.Parallel()
	c := newCloud(t, time.Hour)
	s := c.sign("--sign-only", "s3")
	others := c.server.Issue("arn:aws:iam::123456789012:role/Other", time.Hour)
	c.reveals = true
	defer s.end()
	for service, want := range map[string]int{"s3": 200, "sts": 403} {
		r := request(t, http.MethodGet, "https://"+service+".us-east-1.amazonaws.com/?Action=GetCallerIdentity", "")
		if service == "s3" {
			r = request(t, http.MethodGet, "https://s3.us-east-1.amazonaws.com/", "")
		}
		signWith(t, r, aws.Credentials{AccessKeyID: others.AccessKeyID, SecretAccessKey: others.SecretAccessKey, SessionToken: others.SessionToken}, service, "us-east-1", "", "", time.Now())
		if status, _, body := s.do(s.client(true), r); status != want {
			t.Errorf("%s: %d %s, want %d", service, status, body, want)
		}
	}
	if sent := c.sent(); len(sent) != 1 || sent[0].Service != "s3" {
		t.Errorf("sent on: %v, want S3's alone", sent)
	}
}

// TestSignRefusesPresigned: the same for URLs, which an SDK only makes.
func TestSignRefusesPresigned(t *testing.T) {
	t.Parallel()
	c := newCloud(t, time.Hour)
	c.server.PutObject("/jobs/a", []byte("the object"))
	s := c.sign()
	defer s.end()
	wrong := s.keys
	wrong.SecretAccessKey = "not-the-secret"
	tests := []struct {
		name   string
		keys   aws.Credentials
		ago    time.Duration
		change func(string) string
		status int
		code   string
	}{
		{"good", s.keys, 0, same, 200, "the object"},
		{"still valid", s.keys, 50 * time.Minute, same, 200, "the object"},
		{"expired", s.keys, 61 * time.Minute, same, 403, "AccessDenied"},
		{"not valid yet", s.keys, -20 * time.Minute, same, 403, "AccessDenied"},
		{"wrong secret", wrong, 0, same, 403, "SignatureDoesNotMatch"},
		{"another object", s.keys, 0, func(u string) string { return strings.Replace(u, "/a?", "/b?", 1) }, 403, "SignatureDoesNotMatch"},
		{"another lifetime", s.keys, 0, func(u string) string { return strings.Replace(u, "X-Amz-Expires=3600", "X-Amz-Expires=7200", 1) }, 403, "SignatureDoesNotMatch"},
		{"no date", s.keys, 0, func(u string) string { return strings.Replace(u, "X-Amz-Date=", "X-Amz-Data=", 1) }, 400, "AuthorizationQueryParametersError"},
		{"more than a week", s.keys, 0, func(u string) string { return strings.Replace(u, "X-Amz-Expires=3600", "X-Amz-Expires=604801", 1) }, 400, "AuthorizationQueryParametersError"},
		{"no lifetime", s.keys, 0, func(u string) string { return strings.Replace(u, "X-Amz-Expires=3600", "X-Amz-Expired=3600", 1) }, 400, "AuthorizationQueryParametersError"},
	}
	for _, way := range []string{byProxy, byEndpoint} {
		for _, tt := range tests {
			t.Run(way+" "+tt.name, func(t *testing.T) {
				before := len(c.sent())
				r := request(t, http.MethodGet, s.base(way, "s3.us-east-1.amazonaws.com")+"/jobs/a?X-Amz-Expires=3600", "")
				signed, _, err := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }).
					PresignHTTP(t.Context(), tt.keys, r, "UNSIGNED-PAYLOAD", "s3", "us-east-1", time.Now().Add(-tt.ago))
				if err != nil {
					t.Fatal(err)
				}
				status, _, body := s.do(s.client(true), request(t, http.MethodGet, tt.change(signed), ""))
				if status != tt.status || !strings.Contains(body, tt.code) {
					t.Errorf("%d %s, want %d %s", status, body, tt.status, tt.code)
				}
				want := 0
				if tt.status == 200 {
					want = 1
				}
				if sent := c.sent()[before:]; len(sent) != want {
					t.Errorf("sent on: %v, want %d", sent, want)
				}
			})
		}
	}
}

// TestSignRefusesVersion2: what boto3 and version 1 of the AWS CLI make of us-east-1's URLs by default is
// refused with a word on what to set.
func TestSignRefusesVersion2(t *testing.T) {
	t.Parallel()
	program(t, "aws")
	curl := program(t, "curl")
	for _, way := range []string{byProxy, byEndpoint} {
		c := newCloud(t, time.Hour)
		p := c.brsExec("--role-arn", roleARN, "--deliver", "sign", "--sign-via", way, "--", "sh", "-c",
			`url=$(aws s3 presign s3://jobs/a); echo "$url"; "$1" -sS "$url"; echo; "$1" -sS -H "Authorization: AWS $AWS_ACCESS_KEY_ID:c2ln" "${url%%\?*}"`, "sh", curl)
		if code := p.exit(); code != 0 {
			t.Fatalf("exit code %d\n%s%s", code, p.stdout.String(), p.stderr.String())
		}
		said := p.stdout.String()
		if !strings.Contains(said, "?AWSAccessKeyId=") || strings.Count(said, "<Code>InvalidRequest</Code>") != 2 || strings.Count(said, "Signature Version 2") != 2 {
			t.Errorf("%s: the command says %q", way, said)
		}
		if sent := c.sent(); len(sent) > 0 {
			t.Errorf("%s: sent on: %v", way, sent)
		}
	}
}

// TestSignRefusesEndpoint: what the endpoint way cannot know is refused with a word on the other.
func TestSignRefusesEndpoint(t *testing.T) {
	t.Parallel()
	c := newCloud(t, time.Hour)
	s := c.sign()
	defer s.end()
	foreign := aws.Credentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "not-a-secret-of-anything"}
	tests := []struct {
		name    string
		keys    aws.Credentials
		service string
		unsign  bool
	}{
		{"keys of others", foreign, "s3", false},
		{"no signature", foreign, "s3", true},
		{"a host that nobody knows", s.keys, "execute-api", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := request(t, http.MethodGet, s.base(byEndpoint, "")+"/a", "")
			if !tt.unsign {
				signWith(t, r, tt.keys, tt.service, "us-east-1", "", "", time.Now())
			}
			status, _, body := s.do(http.DefaultClient, r)
			if status < 400 || status > 499 || !strings.Contains(strings.ToLower(body), "proxy") {
				t.Errorf("%d %s, want a refusal that names the proxy way", status, body)
			}
		})
	}
	if sent := c.sent(); len(sent) > 0 {
		t.Errorf("sent on: %v", sent)
	}
}

func same(s string) string { return s }

// request makes one whose body's length is known.
func request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, url, reader)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// do sends a request, and returns status, header and body of the answer.
func (s *signer) do(client *http.Client, r *http.Request) (int, http.Header, string) {
	s.t.Helper()
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, fmt.Sprint(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, resp.Header, fmt.Sprintf("%s: %v", body, err)
	}
	return resp.StatusCode, resp.Header, string(body)
}
