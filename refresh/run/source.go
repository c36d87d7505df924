package run

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/refresh"
	"brs-exec/refresh/source"
)

// credentialSource is where the credentials come from: a [source.Source], but for
// tests.
type credentialSource interface {
	aws.CredentialsProvider
	refresh.Skewer
	refresh.Issuer
	refresh.Watcher
	Authenticate(context.Context) error
	LeaveDir(left <-chan struct{})
	Expiry() (source.Expiry, bool)
	Notes() []string
	Describe() string
	Profile() string
	Region() string
	Origin() source.Origin
	StartTimeout() time.Duration
}

// source opens the source, and logs what a person should know of it. It asks nobody.
func (o Options) source(ctx context.Context) (credentialSource, error) {
	if o.openSource != nil {
		return o.openSource(ctx)
	}
	src, err := source.New(ctx, o.Plan.Source)
	if err != nil {
		return nil, err
	}
	facts := src.Facts()
	for _, line := range facts.Overlooked {
		o.Log.Info(line)
	}
	for _, line := range facts.Plaintext {
		o.Log.Warn(line)
	}
	return src, nil
}

// workingDir is where the command starts, "" if the source cannot go back there.
func workingDir() string {
	dir, err := os.Getwd()
	if err != nil || !filepath.IsAbs(dir) {
		return ""
	}
	return dir
}
