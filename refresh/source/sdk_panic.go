package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
)

// loading runs a loader of the SDK, which panics (slice bounds out of range, in
// internal/ini) where a value of a shared file is a single quote and nothing
// else. A typing mistake in a file must not look like a crash of ours, and even
// less be one while a command runs.
func loading(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &configError{unreadableFile(v)}
		}
	}()
	return f()
}

// fileError is a shared file that the SDK cannot read.
type fileError struct{ text string }

func (e *fileError) Error() string { return e.text }

// unreadableFile looks for the file that made the SDK panic with v.
func unreadableFile(v any) error {
	for _, path := range sharedFiles() {
		if !panics(path) {
			continue
		}
		if line := loneQuote(path); line > 0 {
			return &fileError{fmt.Sprintf("%s:%d: has a value that the AWS SDK cannot read: a quote that is not closed", path, line)}
		}
		return &fileError{path + ": has something in it that the AWS SDK cannot read"}
	}
	if e, ok := v.(error); ok {
		return fmt.Errorf("the AWS SDK failed while it read its configuration: %w", e)
	}
	return errors.New("the AWS SDK failed while it read its configuration")
}

// panics says whether the SDK panics over the file at path alone.
func panics(path string) (yes bool) {
	defer func() { yes = recover() != nil }()
	// Only that it comes back at all is of interest.
	_, _ = config.LoadSharedConfigProfile(context.Background(), config.DefaultSharedConfigProfile, func(o *config.LoadSharedConfigOptions) {
		o.ConfigFiles, o.CredentialsFiles = []string{path}, []string{os.DevNull}
	})
	return false
}

// loneQuote is the number of the first line whose value is one quote, 0 for none.
func loneQuote(path string) int {
	file, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(strings.ReplaceAll(lines.Text(), "\t", " "), " #")
		text, _, _ = strings.Cut(text, " ;")
		if i := strings.IndexAny(text, "=:"); i >= 0 {
			text = text[i+1:]
		}
		if text = strings.TrimSpace(text); text == `"` || text == "'" {
			return n
		}
	}
	return 0
}
