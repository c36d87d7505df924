package simulator

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// start runs a server until the test ends, and gives its calls.
func start(t *testing.T, lifetime time.Duration) (*Server, func() []Call) {
	t.Helper()
	var mu sync.Mutex
	var calls []Call
	s, err := Listen(lifetime, func(c Call) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, c)
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
	return s, func() []Call {
		mu.Lock()
		defer mu.Unlock()
		return append([]Call(nil), calls...)
	}
}

func client(s *Server, c aws.Credentials) *sts.Client {
	return sts.New(sts.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(s.URL()), RetryMaxAttempts: 1,
		Credentials: credentials.StaticCredentialsProvider{Value: c},
	})
}

func assume(t *testing.T, s *Server, c aws.Credentials, role string) aws.Credentials {
	t.Helper()
	out, err := client(s, c).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("test")})
	if err != nil {
		t.Fatalf("AssumeRole: %v", err)
	}
	return aws.Credentials{
		AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: *out.Credentials.SecretAccessKey,
		SessionToken: *out.Credentials.SessionToken, CanExpire: true, Expires: *out.Credentials.Expiration,
	}
}

func identity(t *testing.T, s *Server, c aws.Credentials) (string, error) {
	t.Helper()
	out, err := client(s, c).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", err
	}
	return *out.Arn, nil
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// Credentials work until their second, and not after.
func TestSetExpires(t *testing.T) {
	t.Parallel()
	s, calls := start(t, 2*time.Second)
	first := assume(t, s, s.Bootstrap(), "arn:aws:iam::000000000000:role/path/demo")
	if got, want := first.AccessKeyID, "ASIASIMULATOR0000001"; got != want {
		t.Errorf("key id = %q, want %q", got, want)
	}
	arn, err := identity(t, s, first)
	if want := "arn:aws:sts::000000000000:assumed-role/demo/session-1"; err != nil || arn != want {
		t.Errorf("identity = %q, %v, want %q", arn, err, want)
	}
	second := assume(t, s, first, "arn:minio:iam:::role/dummy") // a chain
	deadline := time.Now().Add(time.Minute)
	for {
		_, err = identity(t, s, first)
		if now := time.Now(); err == nil && now.After(first.Expires.Add(time.Second)) {
			t.Fatalf("credentials that expired at %s are accepted at %s", first.Expires, now)
		} else if err != nil && now.Before(first.Expires) {
			t.Fatalf("credentials that expire at %s are refused at %s: %v", first.Expires, now, err)
		}
		if err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the credentials did not expire")
		}
	}
	if got := code(err); got != "ExpiredToken" {
		t.Errorf("code = %q (%v), want ExpiredToken", got, err)
	}
	third := assume(t, s, s.Bootstrap(), "arn:aws:iam::000000000000:role/demo")
	if third.AccessKeyID != "ASIASIMULATOR0000003" || third.SecretAccessKey == second.SecretAccessKey || third.SessionToken == second.SessionToken {
		t.Errorf("third credentials %q are not new ones", third.AccessKeyID)
	}
	all := calls()
	want := []Call{
		{Service: "sts", Action: "AssumeRole", KeyID: "AKIASIMULATOR0000000", Issued: 1},
		{Service: "sts", Action: "GetCallerIdentity", KeyID: "ASIASIMULATOR0000001", Number: 1},
		{Service: "sts", Action: "AssumeRole", KeyID: "ASIASIMULATOR0000001", Number: 1, Issued: 2},
	}
	if diff := cmp.Diff(want, all[:3], cmpopts.IgnoreFields(Call{}, "Time")); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	refused := all[len(all)-2]
	if diff := cmp.Diff(Call{Service: "sts", Action: "GetCallerIdentity", KeyID: "ASIASIMULATOR0000001", Number: 1, Refused: "ExpiredToken"},
		refused, cmpopts.IgnoreFields(Call{}, "Time")); diff != "" {
		t.Errorf("refused call (-want +got):\n%s", diff)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	s, _ := start(t, time.Minute)
	good := assume(t, s, s.Bootstrap(), "arn:aws:iam::000000000000:role/demo")
	other := assume(t, s, s.Bootstrap(), "arn:aws:iam::000000000000:role/demo")
	tests := []struct {
		name   string
		change func(*aws.Credentials)
		want   string
	}{
		{"unknown key", func(c *aws.Credentials) { c.AccessKeyID = "ASIASIMULATOR0009999" }, "InvalidClientTokenId"},
		{"token of other credentials", func(c *aws.Credentials) { c.SessionToken = other.SessionToken }, "InvalidClientTokenId"},
		{"no token", func(c *aws.Credentials) { c.SessionToken = "" }, "InvalidClientTokenId"},
		{"secret of other credentials", func(c *aws.Credentials) { c.SecretAccessKey = other.SecretAccessKey }, "SignatureDoesNotMatch"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.change(&c)
			_, err := identity(t, s, c)
			if got := code(err); got != tt.want {
				t.Errorf("code = %q (%v), want %q", got, err, tt.want)
			}
		})
	}
	resp, err := http.Get(s.URL() + "/?Action=GetCallerIdentity")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "MissingAuthenticationToken") {
		t.Errorf("unsigned: %d %s, want 403 MissingAuthenticationToken", resp.StatusCode, body)
	}
}

// Any service is answered as it would, signed over whatever headers and path its
// clients sign.
func TestOtherServices(t *testing.T) {
	t.Parallel()
	s, _ := start(t, time.Minute)
	good := s.Bootstrap()
	bad := good
	bad.SecretAccessKey += "x"
	tests := []struct {
		name, service, method, path, target, body string
		creds                                     aws.Credentials
		status                                    int
		want                                      string
	}{
		{"s3 ls", "s3", "GET", "/", "", "", good, 200, "<ListAllMyBucketsResult"},
		{"s3 ls of a bucket", "s3", "GET", "/b?list-type=2&prefix=a%20b%2Fc", "", "", good, 200, "<Name>b</Name>"},
		{"s3 put of an odd name", "s3", "PUT", "/b/a%20b%2B%25", "", "hello", good, 200, ""},
		{"s3 refused", "s3", "GET", "/", "", "", bad, 403, "<Error><Code>SignatureDoesNotMatch"},
		{"dynamodb", "dynamodb", "POST", "/", "DynamoDB_20120810.ListTables", "{}", good, 200, `{"TableNames":[]}`},
		{"other json", "logs", "POST", "/", "Logs_20140328.DescribeLogGroups", "{}", good, 200, `{}`},
		{"json refused", "logs", "POST", "/", "Logs_20140328.DescribeLogGroups", "{}", bad, 400, "InvalidSignatureException"},
		{"query", "iam", "POST", "/", "", "Action=ListUsers", good, 200, "<ListUsersResult/>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequest(tt.method, s.URL()+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.target != "" {
				req.Header.Set("X-Amz-Target", tt.target)
			}
			req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
			err = v4.NewSigner().SignHTTP(t.Context(), tt.creds, req, "UNSIGNED-PAYLOAD", tt.service, "eu-west-1", time.Now(), func(o *v4.SignerOptions) {
				o.DisableURIPathEscaping = tt.service == "s3"
			})
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != tt.status || !strings.Contains(string(body), tt.want) {
				t.Errorf("%d %s %v, want %d with %q", resp.StatusCode, body, err, tt.status, tt.want)
			}
		})
	}
}

func TestListensOnLoopback(t *testing.T) {
	s, _ := start(t, time.Minute)
	if !strings.HasPrefix(s.URL(), "http://127.0.0.1:") {
		t.Errorf("URL = %q, want it on 127.0.0.1", s.URL())
	}
}
