//go:build !linux

package writer

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

func (r *readWatch) watch(dir string) (func(context.Context) error, error) {
	return nil, fmt.Errorf("watch readers of %s: %s does not tell who opens a file: %w", dir, runtime.GOOS, errors.ErrUnsupported)
}
