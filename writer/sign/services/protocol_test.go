package services

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/signin"
	"github.com/aws/aws-sdk-go-v2/service/signin/types"
	"github.com/aws/aws-sdk-go-v2/service/sso"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/encoding/cbor"
	"github.com/google/go-cmp/cmp"
)

const message = `It's <not> "allowed" & more`

// refusing is a server that refuses every request, with the code that is its access key id.
func refusing(t *testing.T) *httptest.Server {
	t.Helper()
	scope := regexp.MustCompile(`Credential=([^/]+)/\d+/[^/]+/([^/]+)/`)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := scope.FindStringSubmatch(r.Header.Get("Authorization"))
		if m == nil {
			m = []string{"", "ExpiredToken", "signin"} // the operation that is not signed
		}
		Refuse(w, r, m[2], Fault{Code: m[1], Message: message, Status: 503})
	}))
	t.Cleanup(s.Close)
	return s
}

// TestRefuseBotocore reads refusals by botocore's parsers: what stands in the "Error" of
// a ClientError is what programs branch on.
func TestRefuseBotocore(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	d := json.NewDecoder(bytes.NewReader(run(t, "testdata/refused.py", refusing(t).URL)))
	for d.More() {
		var r struct {
			Service, Fault, Code, Message string
			Status                        int
			ID                            bool
		}
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		head := strings.HasSuffix(r.Service, " head")
		if r.Message != message && !head {
			t.Errorf("%s, %s: message %q", r.Service, r.Fault, r.Message)
		}
		if !r.ID && !head {
			t.Errorf("%s, %s: no request id", r.Service, r.Fault)
		}
		got[r.Fault+" "+r.Service] = fmt.Sprint(r.Code, " ", r.Status)
	}
	want := map[string]string{}
	for fault, by := range map[string][6]string{
		// S3, HEAD of S3, query and REST XML, EC2, JSON and CBOR, REST JSON
		"ExpiredToken":          {"ExpiredToken 400", "400 400", "ExpiredToken 403", "RequestExpired 400", "ExpiredTokenException 400", "ExpiredTokenException 403"},
		"InvalidClientTokenId":  {"InvalidAccessKeyId 403", "403 403", "InvalidClientTokenId 403", "AuthFailure 401", "UnrecognizedClientException 400", "UnrecognizedClientException 403"},
		"AccessDenied":          {"AccessDenied 403", "403 403", "AccessDenied 403", "UnauthorizedOperation 403", "AccessDeniedException 400", "AccessDeniedException 403"},
		"SignatureDoesNotMatch": {"SignatureDoesNotMatch 403", "403 403", "SignatureDoesNotMatch 403", "AuthFailure 401", "InvalidSignatureException 400", "InvalidSignatureException 403"},
		"IncompleteSignature":   {"AuthorizationHeaderMalformed 400", "400 400", "IncompleteSignature 403", "AuthFailure 401", "IncompleteSignatureException 400", "IncompleteSignatureException 403"},
		"ServiceUnavailable":    {"ServiceUnavailable 503", "503 503", "ServiceUnavailable 503", "ServiceUnavailable 503", "ServiceUnavailableException 503", "ServiceUnavailableException 503"},
	} {
		for service, i := range map[string]int{
			"s3": 0, "s3 head": 1, "route53": 2, "cloudfront": 2, "sts": 2, "iam": 2, "ec2": 3, "dynamodb": 4, "kinesis": 4,
			"eventbridgev2": 4, "lambda": 5, "bedrock-runtime": 5,
		} {
			want[fault+" "+service] = by[i]
		}
		// These spoke the query protocol once, and clients know its codes still.
		code, _, _ := strings.Cut(by[2], " ")
		_, status, _ := strings.Cut(by[4], " ")
		want[fault+" sqs"] = code + " " + status
		want[fault+" cloudwatch"] = code + " " + status
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes and statuses (-want +got):\n%s", diff)
	}
}

// TestRefuseGo reads refusals by the parsers of the SDK for Go.
func TestRefuseGo(t *testing.T) {
	t.Parallel()
	url := refusing(t).URL
	config := aws.Config{
		Region: "us-west-2", BaseEndpoint: &url, RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "ExpiredToken", SecretAccessKey: "secret"}, nil
		}),
	}
	ctx := context.Background()
	_, query := sts.NewFromConfig(config).GetCallerIdentity(ctx, nil)
	_, rest := sso.NewFromConfig(config).ListAccounts(ctx, &sso.ListAccountsInput{AccessToken: aws.String("token")})
	_, unsigned := signin.NewFromConfig(config).CreateOAuth2Token(ctx, &signin.CreateOAuth2TokenInput{TokenInput: &types.CreateOAuth2TokenRequestBody{
		ClientId: aws.String("client"), GrantType: aws.String("refresh_token"), RefreshToken: aws.String("token"),
	}})
	for _, test := range []struct {
		name string
		err  error
		want string
	}{{"sts", query, "ExpiredToken"}, {"sso", rest, "ExpiredTokenException"}, {"signin", unsigned, "ExpiredTokenException"}} {
		var got smithy.APIError
		if !errors.As(test.err, &got) || got.ErrorCode() != test.want || got.ErrorMessage() != message {
			t.Errorf("%s: %v, want %s: %s", test.name, test.err, test.want, message)
		}
	}
}

func TestProtocolOf(t *testing.T) {
	for _, test := range []struct {
		service, method, path string
		header                http.Header
		want                  Protocol
	}{
		{"s3", "GET", "/bucket", nil, S3},
		{"s3", "GET", "/v20180820/jobs", http.Header{"X-Amz-Account-Id": {"123456789012"}}, RESTXML},
		{"s3express", "GET", "/key", nil, S3},
		{"s3-outposts", "GET", "/key", nil, S3},
		{"s3tables", "GET", "/buckets", nil, RESTJSON},
		{"sts", "POST", "/", http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}}, Query},
		{"sts", "GET", "/?Action=GetCallerIdentity", nil, Query}, // presigned
		{"ec2", "POST", "/", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, EC2},
		{"sqs", "POST", "/", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, Query},
		{"sqs", "POST", "/", http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"AmazonSQS.SendMessage"}}, JSON10},
		{"monitoring", "POST", "/service/GraniteServiceVersion20100801/operation/PutMetricData", http.Header{"Smithy-Protocol": {"rpc-v2-cbor"}}, CBOR},
		{"kinesis", "POST", "/", http.Header{"Content-Type": {"application/x-amz-cbor-1.1"}, "X-Amz-Target": {"Kinesis_20131202.PutRecord"}}, AWSCBOR},
		{"ses", "POST", "/", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, Query},
		{"ses", "POST", "/v2/email/outbound-emails", nil, RESTJSON},
		{"bedrock", "POST", "/model/x/converse", http.Header{"Content-Type": {"application/json"}}, RESTJSON},
		{"unknown", "POST", "/", http.Header{"X-Amz-Target": {"Unknown.Do"}}, JSON11},
		{"unknown", "POST", "/", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, Query},
		{"unknown", "GET", "/x", nil, RESTJSON},
	} {
		r := httptest.NewRequest(test.method, test.path, nil)
		for k, v := range test.header {
			r.Header[k] = v
		}
		if got, _ := protocolOf(test.service, r); got != test.want {
			t.Errorf("%s %s %s: %s, want %s", test.service, test.method, test.path, got, test.want)
		}
	}
}

func TestRefuseCBOR(t *testing.T) {
	r := httptest.NewRequest("POST", "/", nil)
	r.Header.Set("Content-Type", "application/x-amz-cbor-1.1")
	w := httptest.NewRecorder()
	Refuse(w, r, "kinesis", Fault{Code: "ExpiredToken", Message: message})
	got, err := cbor.Decode(w.Body.Bytes())
	want := cbor.Map{"__type": cbor.String("ExpiredTokenException"), "message": cbor.String(message)}
	if diff := cmp.Diff(cbor.Value(want), got); diff != "" || err != nil || w.Header().Get("Content-Type") != "application/x-amz-cbor-1.1" {
		t.Errorf("%v, %v (-want +got):\n%s", w.Header(), err, diff)
	}
}
