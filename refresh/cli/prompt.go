package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"brs-exec.example/brs-exec/refresh/source"
)

// prompt asks on the terminal, past what standard input and output are: these
// are the command's. nil if there is no terminal.
func prompt() source.Prompt {
	if !hasTerminal() {
		return nil
	}
	return func(ctx context.Context, label string) (string, error) {
		in, out, err := openTerminal()
		if err != nil {
			return "", err
		}
		defer in.Close()
		defer out.Close()
		// A terminal that knows no deadlines (macOS) is left to be read; who
		// ended ctx is about to end the process.
		defer context.AfterFunc(ctx, func() { in.SetReadDeadline(time.Unix(1, 0)) })()
		return ask(ctx, in, out, label)
	}
}

// hasTerminal looks once: what has one at its start keeps it.
var hasTerminal = sync.OnceValue(findTerminal)

func ask(ctx context.Context, in io.Reader, out io.Writer, label string) (string, error) {
	if _, err := fmt.Fprint(printable{out}, "brs-exec: "+label); err != nil { // it may have a name of a configuration in it
		return "", err
	}
	const longest = 1 << 10 // nobody types that
	line, err := bufio.NewReader(io.LimitReader(in, longest)).ReadString('\n')
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(out) // the shell's prompt is not to stand beside ours
		return "", ctx.Err()
	case err != nil && line == "":
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}
