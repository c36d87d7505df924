// Command nomadjob reads a job of Nomad as `nomad job run` does, strictly, and prints what
// would be sent to a server, as JSON. What the server itself checks is not checked.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/hashicorp/nomad/jobspec2"
)

func main() {
	if err := read(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	job, err := jobspec2.ParseWithConfig(&jobspec2.ParseConfig{Path: path, Body: text, Strict: true})
	if err != nil {
		return err
	}
	job.Canonicalize()
	return json.NewEncoder(os.Stdout).Encode(job)
}
