//go:build linux

package main

import (
	"fmt"
	"os/exec"
)

// wrapper is a program that runs the command that follows its argv.
type wrapper struct {
	name string
	argv []string
}

// peers are the usual init programs, where they are installed.
func peers() []wrapper {
	var list []wrapper
	for _, w := range []wrapper{{"tini", []string{"-s", "--"}}, {"dumb-init", []string{"-c", "--"}}} {
		path, err := exec.LookPath(w.name)
		if err != nil {
			fmt.Printf("%s is not installed and left out\n", w.name)
			continue
		}
		list = append(list, wrapper{w.name, append([]string{path}, w.argv...)})
	}
	return list
}
