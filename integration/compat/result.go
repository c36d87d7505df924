//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// deliveries are the columns: the control first, then what --deliver takes.
var deliveries = []string{control, "auto", "process", "file", "endpoint", "imds", restart, sign, signProxy, signEndpoint}

// restart is the delivery that hands keys over in the environment, and starts the
// client anew with each set.
const restart = "env"

// sign is the delivery that signs for the client. The other two of its kind have one way to the
// signing listener alone, and no column of their own.
const (
	sign         = "sign"
	signProxy    = "sign-proxy"
	signEndpoint = "sign-endpoint"
)

// signs tells whether the client gets keys that are worth something at the listener alone.
func signs(delivery string) bool {
	return delivery == sign || delivery == signProxy || delivery == signEndpoint
}

// columns are the deliveries that the first table of the page has.
func columns() []string {
	return slices.DeleteFunc(slices.Clone(deliveries), func(name string) bool { return name == signProxy || name == signEndpoint })
}

// flags are those of brs-exec that make a delivery.
func flags(delivery string) []string {
	switch delivery {
	case restart:
		return []string{"--deliver", "env", "--on-refresh", "restart"}
	case signProxy, signEndpoint:
		return []string{"--deliver", sign, "--sign-via", strings.TrimPrefix(delivery, "sign-")}
	}
	return []string{"--deliver", delivery}
}

// control is the delivery without brs-exec: keys in the environment.
const control = "exported"

// outcome is what came of a cell.
type outcome string

const (
	survived outcome = "survived"
	failed   outcome = "failed"
	nothing  outcome = "no credentials" // the client found none, and made no call
)

// result is one measured cell.
type result struct {
	Client, Version string
	SDK             string `json:",omitempty"` // version of the SDK in the client, where it is another
	Delivery        string
	Outcome         outcome
	Reason          string `json:",omitempty"` // unless it survived
	Time            time.Time
	Lifetime        time.Duration
	Watched         time.Duration `json:",omitempty"` // from the first call to the last
	Calls, Refused  int
	Reported        int  `json:",omitempty"` // the failures that the client told of
	Sets            int  // key ids used
	Ended           int  `json:",omitempty"` // of those, the ones that ended before the last accepted call
	Asked           asks // how often the client asked for credentials
	Isolated        bool // ran in a network namespace of its own
	Once            bool `json:",omitempty"` // the client makes calls and then ends by itself
}

// asks counts how often a client asked; -1 is not counted.
type asks struct {
	Process  int `json:",omitempty"`
	File     int `json:",omitempty"`
	Endpoint int `json:",omitempty"`
	IMDS     int `json:",omitempty"`
}

func (r result) String() string {
	s := fmt.Sprintf("%-22s %-9s %-14s %3d calls, %2d refused, %2d sets, %2d ended, %+v", r.Client, r.Delivery, r.Outcome, r.Calls, r.Refused, r.Sets, r.Ended, r.Asked)
	if r.Reason != "" {
		s += ": " + r.Reason
	}
	return s
}

// readResults reads what keepResult wrote, without a line that was cut.
func readResults(path string) ([]result, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var results []result
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r result
		if json.Unmarshal(lines.Bytes(), &r) == nil && r.Client != "" {
			results = append(results, r)
		}
	}
	return results, lines.Err()
}

// keepResult adds a line to the file.
func keepResult(path string, r result) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	// A line that was cut, as by a full disk, must not spoil this one.
	_, err = f.Write(append(append([]byte("\n"), b...), '\n'))
	return errors.Join(err, f.Close())
}

// latest returns the newest result of a cell, nil if there is none.
func latest(results []result, client, delivery string) *result {
	var found *result
	for i := range results {
		r := &results[i]
		if r.Client == client && r.Delivery == delivery && (found == nil || !r.Time.Before(found.Time)) {
			found = r
		}
	}
	return found
}
