//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// cell is one measurement: a client and a delivery.
type cell struct{ Client, Delivery string }

func (c cell) String() string { return c.Client + " × " + c.Delivery }

// order is what a cell's process is told in the variable of that name.
type order struct {
	Cell     cell
	Places   places
	Isolated bool
	Log      bool // print the server's log on standard error
}

const orderVariable = "BRS_EXEC_COMPAT_CELL"

// longest is more than any cell takes.
const longest = 4 * time.Minute

// errNoNamespace is why a cell did not run at all.
var errNoNamespace = errors.New("network and mount namespaces are not permitted")

// runCell measures one cell in a process of its own, which starts in a network
// namespace of its own: it is this program again.
func (p places) runCell(ctx context.Context, c cell, log bool) (result, error) {
	r, err := p.runCellIn(ctx, order{Cell: c, Places: p, Log: log, Isolated: true})
	if !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EINVAL) {
		return r, err
	}
	if c.Delivery == "imds" || signs(c.Delivery) {
		// The client must be free to look for the metadata service, and may
		// look for the machine's own; or it calls AWS by its names.
		return result{}, errNoNamespace
	}
	return p.runCellIn(ctx, order{Cell: c, Places: p, Log: log})
}

func (p places) runCellIn(ctx context.Context, o order) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	text, err := json.Marshal(o)
	if err != nil {
		return result{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), orderVariable+"="+string(text))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it has children to end
	cmd.WaitDelay = 30 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if o.Isolated {
		isolate(cmd)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		return result{}, err
	}
	if err := cmd.Wait(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return result{}, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	if o.Log {
		os.Stderr.Write(stderr.Bytes())
	}
	var r result
	err = json.Unmarshal(stdout.Bytes(), &r)
	return r, err
}

// runCellIfAsked is for the process that runCell starts: it measures, prints the
// result, and returns true.
func runCellIfAsked() bool {
	text := os.Getenv(orderVariable)
	if text == "" {
		return false
	}
	os.Unsetenv(orderVariable)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := obey(ctx, text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

func obey(ctx context.Context, text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	if o.Isolated {
		if err := raiseLoopback(); err != nil {
			return err
		}
	}
	c, ok := find(o.Cell.Client)
	if !ok {
		return fmt.Errorf("no client is named %q", o.Cell.Client)
	}
	r, err := measure(ctx, o, c)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}
