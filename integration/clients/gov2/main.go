// Command gov2 is one long-lived process on aws-sdk-go-v2 that calls STS every
// half second with a client that is made once. It prints "ok KEYID", with the
// key id that signed the request, or "refused CODE" for each call, and ends when
// standard input does, or after the number of calls that its only argument gives.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// signer sends requests and keeps the key id that signed the last one.
type signer struct{ keyID string }

func (s *signer) Do(r *http.Request) (*http.Response, error) {
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	s.keyID, _, _ = strings.Cut(scope, "/")
	return http.DefaultClient.Do(r)
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "gov2:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	count := -1
	if len(os.Args) > 1 {
		var err error
		if count, err = strconv.Atoi(os.Args[1]); err != nil {
			return err
		}
	}
	http := &signer{}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	client := sts.NewFromConfig(cfg, func(o *sts.Options) { o.HTTPClient = http })

	ended := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(ended)
	}()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for done := 0; done != count; done++ {
		_, err := client.GetCallerIdentity(ctx, nil)
		var api smithy.APIError
		switch {
		case err == nil:
			fmt.Println("ok", http.keyID)
		case errors.As(err, &api):
			fmt.Println("refused", api.ErrorCode())
		default:
			fmt.Println("refused", err)
		}
		select {
		case <-ended:
			return nil
		case <-tick.C:
		}
	}
	return nil
}
