package source

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
)

// reread gives what the configuration says now. Long runs outlive the keys in the
// files: who replaces them there expects that they are used.
func (s *Source) reread(ctx context.Context) *found {
	s.mu.Lock()
	old := s.found
	s.mu.Unlock()
	if old.stamp == s.stamp() {
		return old
	}
	f, err := s.find(ctx)
	if err != nil {
		// Half written, or gone: what was read before may well still work.
		s.note("the AWS configuration has changed and cannot be read (%v): keeping to what was read before", s.explain(ctx, old, err))
		return old
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.found = f
	return f
}

// stamp changes when a shared file does.
func (s *Source) stamp() string {
	var b strings.Builder
	for _, path := range sharedFiles() {
		if fi, err := os.Stat(s.at(path)); err == nil {
			fmt.Fprintf(&b, "%d %d\n", fi.Size(), fi.ModTime().UnixNano())
		} else {
			b.WriteString("none\n")
		}
	}
	return b.String()
}

// sharedFiles are the paths of the config and the credentials file.
func sharedFiles() []string {
	return []string{
		cmp.Or(os.Getenv("AWS_CONFIG_FILE"), config.DefaultSharedConfigFilename()),
		cmp.Or(os.Getenv("AWS_SHARED_CREDENTIALS_FILE"), config.DefaultSharedCredentialsFilename()),
	}
}
