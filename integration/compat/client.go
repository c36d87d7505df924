//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// client is a program to measure: one that makes a call every half second until
// its standard input ends, or, if it is a once, a single command that takes
// longer than several sets live.
//
// In command, version, sdk, needs and env, $CLIENTS is where .ci/install-matrix puts
// things, $SOURCE integration/clients, $DIR the cell's own directory, $ENDPOINT
// the server's address as a URL and $ADDRESS without the scheme.
type client struct {
	name    string // for -only, and of the directory
	title   string // as the page calls it
	core    bool   // runs in go test
	doctor  string // as brs-exec doctor calls what finds the credentials in it; "" if another row measures that, too
	command []string
	// signed is the command under --deliver sign, if it differs: there the server has AWS's own
	// names, and the command is as people have it who use AWS.
	signed []string
	// line is what signed has besides, because the client reads none of brs-exec's variables.
	line    string
	version []string // prints the version, among other things perhaps
	sdk     []string // prints the version of what doctor finds in it, if that is another
	needs   []string // paths, or names of programs
	env     map[string]string
	// signedEnv is for --deliver sign, after env.
	signedEnv map[string]string
	once      bool
	// hold is how long the server holds back its answers, for commands that
	// would be done too soon.
	hold map[string]time.Duration
	// files is how many small files to make in $DIR/files.
	files int
	// noise is how many megabytes of random bytes to make in $DIR/noise.
	noise int
	// config is appended to section [default] of the user's config file.
	config string
	// reads is set for a client that takes keys from a credentials file alone:
	// its control has them there.
	reads bool
}

// missing returns the first thing that the client needs and that is not there.
func (c client) missing(p places) string {
	for _, need := range c.needs {
		need = p.expand(need)
		if strings.Contains(need, "/") {
			if _, err := os.Stat(need); err != nil {
				return need
			}
		} else if _, err := exec.LookPath(need); err != nil {
			return need
		}
	}
	return ""
}

func (p places) expand(text string) string {
	return strings.NewReplacer("$CLIENTS", p.Clients, "$SOURCE", filepath.Join(p.Module, "integration", "clients")).Replace(text)
}

func find(name string) (client, bool) {
	for _, c := range clients {
		if c.name == name {
			return c, true
		}
	}
	return client{}, false
}
