// Brs-exec runs a command and keeps its AWS credentials fresh for as long as
// it lives:
//
//	brs-exec [FLAGS] -- COMMAND [ARG...]
//
// The credentials come from any source of the AWS SDK, a role assumed on top
// of it, or a program. The command finds them in every place that AWS clients
// look again when theirs expire; otherwise it runs as it would without brs-exec.
//
// Exit codes: the command's own; 128+n if it died of signal n; 124 if it was
// stopped because its credentials had expired (--on-expiry=stop); 75 if another run
// holds the --lock; 125 if brs-exec itself failed; 126 and 127 if COMMAND cannot be
// run or is not found.
package main

import (
	"os"

	"brs-exec.example/brs-exec/refresh/cli"

	// Two packages that do their work and end the program before main is
	// initialised: credentials --run-dir, and the process in front of the worker.
	_ "brs-exec.example/brs-exec/supervisor/stage"
	_ "brs-exec.example/brs-exec/writer/process/early"
)

func main() { os.Exit(cli.Run(os.Args[1:])) }
