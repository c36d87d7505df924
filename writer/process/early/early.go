// Package early answers `brs-exec credentials --run-dir DIR` before the rest of
// the program has even been initialised.
//
// SDKs run that command for every request when the credentials are about to expire,
// while the request waits, and initialising the AWS SDK's tables takes longer
// than the answer. Go initialises the package whose path sorts first among those
// whose imports are ready (https://go.dev/ref/spec#Program_execution), and this
// one needs next to nothing. So it is the one place beside main that prints and
// exits. Any other spelling of the command line goes the usual way, to the same
// answer.
package early

import (
	"os"
	"time"

	"brs-exec/writer/process"
)

const exitFailed = 125

func init() {
	if len(os.Args) == 4 && os.Args[1] == "credentials" && os.Args[2] == "--run-dir" {
		os.Exit(answer(os.Args[3]))
	}
}

func answer(dir string) int {
	line, err := process.Output(dir, time.Now())
	if err == nil {
		_, err = os.Stdout.Write(line)
	}
	if err != nil {
		os.Stderr.WriteString("brs-exec: error: " + err.Error() + "\n")
		return exitFailed
	}
	return 0
}
