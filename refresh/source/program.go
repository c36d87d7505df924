package source

import (
	"context"
	"errors"
	"fmt"
	"io"

	"brs-exec.example/brs-exec/refresh"
)

// Output runs a program that prints something else than credentials, as a credential command is
// run that nobody can answer: without a shell, a terminal and standard input, for at most a
// minute, and killed with all that it has started when ctx ends. It returns what the program
// prints, of at most limit bytes; what it prints on its standard error is written to stderr, nil
// for nowhere. Errors are those of [Source.Retrieve].
func Output(ctx context.Context, argv []string, limit int, stderr io.Writer) ([]byte, error) {
	s := &Source{spec: Spec{Stderr: stderr}, outputLimit: limit}
	out, err := s.run(ctx, argv, "", commandTimeout)
	if errors.Is(err, errFull) {
		return nil, &refresh.Error{Err: fmt.Errorf("prints more than %d bytes", limit), Permanent: true}
	}
	return out, err
}
