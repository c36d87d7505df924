package writer

import (
	"context"

	"brs-exec/writer/replace"
	"brs-exec/writer/shared"
)

// What is shared's, until those who use it say so.
type (
	Shared        = shared.File
	SharedOptions = shared.Options
	AtExit        = shared.AtExit
	Owner         = replace.Owner
)

const (
	Leave   = shared.Leave
	Remove  = shared.Remove
	Restore = shared.Restore
)

func NewShared(ctx context.Context, opt SharedOptions) (*Shared, error) { return shared.Open(ctx, opt) }

func PreviewShared(opt SharedOptions) (notes []string, err error) { return shared.Preview(opt) }

func SharedHint(path string, err error) string { return shared.Hint(path, err) }
