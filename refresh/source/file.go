package source

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
)

const (
	// fileLimit is far above the credentials files of those with hundreds of accounts.
	fileLimit = 4 << 20

	// settleAge is how old a file must be before it is believed. Most tools write in
	// place, in several steps, and credentials of which the token is missing look complete.
	settleAge = 150 * time.Millisecond

	// settleTries bound the wait for one that never is.
	settleTries = 10
)

// file makes Spec.File the base.
func (s *Source) file(f *resolved) {
	path, profile := s.spec.File, s.spec.FileProfile
	f.description, f.profile = "file "+path, profile
	if profile != "" {
		f.description += ", profile " + profile
	}
	f.atHand, f.baseKey = true, []any{"file", s.absolute(path), profile}
	f.base = unnamed(func(ctx context.Context) (aws.Credentials, error) {
		text, err := readSettled(ctx, path)
		if err != nil {
			return aws.Credentials{}, classifyFile(err)
		}
		c, note, err := parseFile(text, profile)
		if err != nil {
			return c, err
		}
		if note != "" {
			s.note("%s: %s", f.description, note)
		}
		return c, nil
	})
}

func classifyFile(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return transientf("something must write the credentials there", "%v", deepest(err))
	case errors.Is(err, fs.ErrPermission):
		return refresh.Permanentf("this user must be allowed to read the file and to pass all directories above it", "%v", deepest(err))
	}
	return err
}

// readSettled reads a file that is not being written, as far as can be seen.
func readSettled(ctx context.Context, path string) ([]byte, error) {
	for try := 1; ; try++ {
		text, changed, err := readOnce(path)
		if err != nil {
			return nil, err
		}
		// A file from the future is one of a clock that was set.
		age := time.Since(changed.Round(0))
		if age < 0 || age >= settleAge || try == settleTries {
			return text, nil
		}
		select {
		case <-time.After(settleAge - age):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func readOnce(path string) (text []byte, changed time.Time, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, changed, err
	}
	defer file.Close()
	if text, err = io.ReadAll(io.LimitReader(file, fileLimit+1)); err != nil {
		return nil, changed, err
	}
	if len(text) > fileLimit {
		return nil, changed, refresh.Permanentf("is that a credentials file?", "holds more than %d MiB", fileLimit>>20)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, changed, err
	}
	return text, info.ModTime(), nil
}
