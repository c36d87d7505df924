//go:build !linux

package writer

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

func (r *readWatch) watch(dir string) (func(context.Context) error, error) {
	return nil, fmt.Errorf("watch readers of %s: %s does not tell who opens a file: %w", dir, runtime.GOOS, errors.ErrUnsupported)
}

// readAt is for a watch that began late; there is none.
func readAt(string) (time.Time, bool) { return time.Time{}, false }
