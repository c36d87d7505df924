package endpoint

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"brs-exec.example/brs-exec/writer/process"
)

// asSeen is what a client makes of credentials: their expiry is the early one.
func asSeen(c aws.Credentials) aws.Credentials {
	c.Expires = c.Expires.Add(-120 * time.Second).UTC().Truncate(time.Second)
	return c
}

var ignoreSource = cmpopts.IgnoreFields(aws.Credentials{}, "Source")

func TestGoEndpointProvider(t *testing.T) {
	t.Parallel()
	set := testSet("ASIAONE", time.Hour)
	set.AccountID = "123456789012"
	s := startServer(t, Options{Profile: "p"}, map[string]aws.Credentials{"p": set, "dead": testSet("ASIADEAD", -time.Second)})
	retrieve := func(profile, token string) (aws.Credentials, error) {
		return endpointcreds.New(s.URL(profile), func(o *endpointcreds.Options) {
			o.AuthorizationToken = token
			o.Retryer = aws.NopRetryer{}
		}).Retrieve(t.Context())
	}
	got, err := retrieve("p", s.token)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(asSeen(set), got, ignoreSource); diff != "" {
		t.Errorf("credentials (-want +got):\n%s", diff)
	}
	odd := "team/a b%2F+é?#"
	if err := s.Deliver(t.Context(), map[string]aws.Credentials{odd: testSet("ASIAODD", time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if got, err := retrieve(odd, s.token); err != nil || got.AccessKeyID != "ASIAODD" {
		t.Errorf("%s: %s, %v", odd, got.AccessKeyID, err)
	}
	for _, tt := range []struct{ profile, token, code string }{
		{"p", "wrong", "Unauthorized"},
		{"p", "", "Unauthorized"},
		{"q", s.token, "ProfileNotFound"},
		{"dead", s.token, "CredentialsExpired"},
	} {
		_, err := retrieve(tt.profile, tt.token)
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != tt.code || api.ErrorMessage() == "" {
			t.Errorf("profile %s, token %q: error %v, want the code %s", tt.profile, tt.token, err, tt.code)
		}
	}
}

// childEnv sets env as a child of ours would have it, and nothing else that has to do with AWS.
func childEnv(t *testing.T, env []string) {
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		t.Setenv(name, value)
	}
}

// tokenFile is the variable that leads to the token in a file.
func tokenFile(t *testing.T, s *Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(s.Token()), 0o600); err != nil {
		t.Fatal(err)
	}
	return "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" + path
}

// TestGoDefaultChain goes the way of a program that was told nothing: Env must be all it takes, and a rotation must reach it.
func TestGoDefaultChain(t *testing.T) {
	one, two := testSet("ASIAONE", time.Hour), testSet("ASIATWO", time.Hour)
	chain := func(t *testing.T, deliver func(context.Context, map[string]aws.Credentials) error, last func(string) process.Read) {
		cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion("us-east-1"))
		if err != nil {
			t.Fatal(err)
		}
		for _, set := range []aws.Credentials{one, two} {
			if err := deliver(t.Context(), map[string]aws.Credentials{"p": set}); err != nil {
				t.Fatal(err)
			}
			cfg.Credentials.(*aws.CredentialsCache).Invalidate()
			got, err := cfg.Credentials.Retrieve(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got.AccessKeyID != set.AccessKeyID || got.SessionToken != set.SessionToken {
				t.Errorf("retrieved %s, want %s", got.AccessKeyID, set.AccessKeyID)
			}
			if r := last("p"); r.KeyID != set.AccessKeyID {
				t.Errorf("LastRead = %+v, want %s", r, set.AccessKeyID)
			}
		}
	}
	t.Run("endpoint, token", func(t *testing.T) {
		s := startServer(t, Options{Profile: "p"}, nil)
		childEnv(t, append(s.Env(), "AWS_EC2_METADATA_DISABLED=true"))
		chain(t, s.Deliver, s.LastRead)
	})
	t.Run("endpoint, token file alone", func(t *testing.T) {
		s := startServer(t, Options{Profile: "p"}, nil)
		childEnv(t, []string{s.Env()[0], tokenFile(t, s), "AWS_EC2_METADATA_DISABLED=true"})
		chain(t, s.Deliver, s.LastRead)
	})
	t.Run("imds", func(t *testing.T) {
		m := startIMDS(t, Options{Profile: "p"}, nil)
		childEnv(t, m.Env())
		chain(t, m.Deliver, m.LastRead)
	})
}

func TestGoIMDSClient(t *testing.T) {
	t.Parallel()
	set := testSet("ASIAONE", 30*time.Minute)
	set.AccountID = "123456789012"
	m := startIMDS(t, Options{Profile: "p", Region: "eu-west-3"}, map[string]aws.Credentials{"p": set})
	client := imds.New(imds.Options{Endpoint: m.socket.url(), ClientEnableState: imds.ClientEnabled, EnableFallback: aws.FalseTernary})

	got, err := ec2rolecreds.New(func(o *ec2rolecreds.Options) { o.Client = client }).Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := asSeen(set)
	want.AccountID = "" // this provider has no use for it
	if diff := cmp.Diff(want, got, ignoreSource); diff != "" {
		t.Errorf("credentials (-want +got):\n%s", diff)
	}
	region, err := client.GetRegion(t.Context(), nil)
	if err != nil || region.Region != "eu-west-3" {
		t.Errorf("GetRegion = %+v, %v, want eu-west-3", region, err)
	}
	info, err := client.GetIAMInfo(t.Context(), nil)
	if err != nil || info.InstanceProfileArn != "arn:aws:iam::123456789012:instance-profile/brs-exec" {
		t.Errorf("GetIAMInfo = %+v, %v, want the account in the ARN", info, err)
	}
	doc, err := client.GetInstanceIdentityDocument(t.Context(), nil)
	if err != nil || doc.AccountID != "123456789012" || doc.AvailabilityZone != "eu-west-3a" || doc.PendingTime.IsZero() {
		t.Errorf("GetInstanceIdentityDocument = %+v, %v, want account and zone", doc, err)
	}
	zone, err := client.GetMetadata(t.Context(), &imds.GetMetadataInput{Path: "placement/availability-zone"})
	if err != nil {
		t.Fatal(err)
	}
	zone.Content.Close()
	if _, err := client.GetUserData(t.Context(), nil); err == nil {
		t.Error("GetUserData found some")
	}
}
