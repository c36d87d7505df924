// Command gov1 is one long-lived process on version 1 of aws-sdk-go that makes a
// call every half second, taking turns among STS, DynamoDB and S3 with clients
// that are made once from one session. It prints "ok KEYID", with the key id
// that signed the request, or "refused CODE" for each call, and ends when
// standard input does. The argument "version" makes it print the SDK's version
// instead.
//
// It is built twice: with go.mod, the last release, and with old.mod, one from
// before web identity.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/awserr"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/dynamodb"
	"github.com/aws/aws-sdk-go/service/s3"
	"github.com/aws/aws-sdk-go/service/sts"
)

// signer sends requests and keeps the key id that signed the last one.
type signer struct{ keyID string }

func (s *signer) RoundTrip(r *http.Request) (*http.Response, error) {
	if i := strings.Index(r.Header.Get("Authorization"), "Credential="); i >= 0 {
		s.keyID = strings.SplitN(r.Header.Get("Authorization")[i+len("Credential="):], "/", 2)[0]
	}
	return http.DefaultTransport.RoundTrip(r)
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "version" {
		fmt.Println(aws.SDKVersion)
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gov1:", err)
		os.Exit(1)
	}
}

func run() error {
	// The chain's own requests (to the metadata service, say) use a client of
	// theirs: the one here is for the services alone. This release knows no
	// variable for the endpoint.
	signed := &signer{}
	s, err := session.NewSession()
	if err != nil {
		return err
	}
	config := &aws.Config{
		HTTPClient:       &http.Client{Transport: signed},
		S3ForcePathStyle: aws.Bool(true),
	}
	if endpoint := os.Getenv("CLIENT_ENDPOINT"); endpoint != "" {
		config.Endpoint = aws.String(endpoint)
	}
	calls := []func() error{
		func() error { _, err := sts.New(s, config).GetCallerIdentity(nil); return err },
		func() error { _, err := dynamodb.New(s, config).ListTables(nil); return err },
		func() error { _, err := s3.New(s, config).ListBuckets(nil); return err },
	}
	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for done := 0; ; done++ {
		if err := calls[done%len(calls)](); err == nil {
			fmt.Println("ok", signed.keyID)
		} else if failure, ok := err.(awserr.Error); ok {
			fmt.Println("refused", failure.Code())
		} else {
			fmt.Println("refused", err)
		}
		select {
		case <-ended:
			return nil
		case <-tick.C:
		}
	}
}
