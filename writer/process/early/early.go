// Package early answers `brs-exec credentials --run-dir DIR [--profile NAME]` before
// the rest of the program has even been initialised.
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

	"brs-exec.example/brs-exec/writer/process"
)

const exitFailed = 125

func init() {
	args := os.Args
	if len(args) < 4 || args[1] != "credentials" || args[2] != "--run-dir" {
		return
	}
	switch {
	case len(args) == 4:
		os.Exit(answer(args[3], ""))
	case len(args) == 6 && args[4] == "--profile" && args[5] != "":
		os.Exit(answer(args[3], args[5]))
	}
}

func answer(dir, profile string) int {
	line, err := process.OutputOf(dir, profile, time.Now())
	if err == nil {
		_, err = os.Stdout.Write(line)
	}
	if err != nil {
		os.Stderr.WriteString("brs-exec: error: " + err.Error() + "\n")
		return exitFailed
	}
	return 0
}
