//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

const (
	// enough is how long to watch a client that does well: three lives and a
	// call after the third one's end.
	enough = 3*lifetime + 2*time.Second
	// patient is how long to wait beyond that for a client that takes new sets
	// so seldom that three have not ended yet.
	patient = 2 * lifetime
	// giveUp is how long a client may take to its first call.
	giveUp = 90 * time.Second
	// hopeless is how long a client is watched that is refused, or finds no
	// credentials, again and again.
	hopeless = 8 * time.Second
)

// measure runs one client in this process's namespace and judges it.
func measure(ctx context.Context, o order, c client) (result, error) {
	w, err := newWorld(o, c)
	if err != nil {
		return result{}, err
	}
	defer w.close()
	r := result{Client: c.name, Delivery: o.Cell.Delivery, Time: time.Now().UTC().Truncate(time.Second), Lifetime: lifetime, Isolated: o.Isolated, Once: c.once}
	if r.Version, err = w.version(c.version); err != nil {
		return result{}, err
	}
	if len(c.sdk) > 0 {
		if r.SDK, err = w.version(c.sdk); err != nil {
			return result{}, err
		}
	}
	opened, err := watchOpens(w.run)
	if err != nil {
		return result{}, err
	}
	var sniffed *sniffer
	if o.Isolated && !signs(o.Cell.Delivery) {
		if sniffed, err = sniff(w.port()); err != nil {
			opened.stop()
			return result{}, err
		}
	}
	ended, runErr := w.watch(ctx, &r)
	r.Asked = asks{Endpoint: -1, IMDS: -1}
	r.Asked.Process, r.Asked.File = opened.stop()
	if sniffed != nil {
		r.Asked.Endpoint, r.Asked.IMDS = sniffed.stop()
	}
	if runErr != nil {
		return result{}, runErr
	}
	l := w.log()
	if o.Log {
		for _, call := range l.calls {
			fmt.Fprintln(os.Stderr, call)
		}
	}
	l.judge(&r, ended)
	return r, nil
}

// log is the server's, without brs-exec's own calls.
func (w *world) log() log {
	bootstrap := w.server.Bootstrap().AccessKeyID
	calls := slices.DeleteFunc(w.server.Calls(), func(c fakeaws.Call) bool {
		return c.Action == "AssumeRole" && c.KeyID == bootstrap
	})
	return log{calls: calls, expiry: w.server.Expiry, bootstrap: bootstrap}
}

// watch runs the client for as long as there is something to learn, and returns
// how it ended: "" if it had to be told to.
func (w *world) watch(ctx context.Context, r *result) (ended string, err error) {
	argv := w.client.command
	if signs(w.Cell.Delivery) && len(w.client.signed) > 0 {
		argv = w.client.signed
	}
	if w.Cell.Delivery == control {
		if err := w.export(); err != nil {
			return "", err
		}
	} else {
		argv = slices.Concat([]string{w.Places.BrsExec, "--role-arn", roleARN}, flags(w.Cell.Delivery), []string{"--"}, argv)
	}
	cmd := w.command(argv...)
	var stdout, stderr output
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		cmd.Wait()
	}()
	defer func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-done
		r.Reported = strings.Count("\n"+stdout.String(), "\nrefused ")
	}()
	start := time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			w.stop(cmd, stdin, done)
			return "", ctx.Err()
		case <-done:
			return w.ending(cmd, &stdout, &stderr), nil
		case <-tick.C:
		}
		if w.learned(start, &stdout) {
			w.stop(cmd, stdin, done)
			return w.lastWords(&stdout, &stderr), nil
		}
	}
}

// stop ends a command as kindly as it lets itself.
func (w *world) stop(cmd *exec.Cmd, stdin interface{ Close() error }, done <-chan struct{}) {
	stdin.Close()
	grace := 5 * time.Second
	if w.client.once {
		grace = 0
	}
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-done:
			return
		case <-time.After(grace):
		}
		cmd.Process.Signal(s)
		grace = 15 * time.Second
	}
}

// learned tells whether watching longer would change nothing.
func (w *world) learned(start time.Time, stdout *output) bool {
	now := time.Now()
	l := w.log()
	if len(l.calls) == 0 {
		complaints := strings.Count(stdout.String(), "refused ")
		return now.Sub(start) > giveUp || complaints > 3 && now.Sub(start) > 2*hopeless
	}
	if w.bare != "" {
		w.server.SetExpiry(w.bare, l.calls[0].Time.Add(lifetime))
		w.bare = ""
	}
	var r result
	l.judge(&r, "")
	watched := now.Sub(l.calls[0].Time)
	if r.Refused == 0 {
		return watched > enough && r.Ended >= expirations || watched > enough+patient
	}
	first := slices.IndexFunc(l.calls, refused)
	since := l.calls[first:]
	recovers := slices.ContainsFunc(since, func(c fakeaws.Call) bool { return !refused(c) })
	return watched > enough || !recovers && now.Sub(since[0].Time) > hopeless
}

// ending words how a command ended that was not told to.
func (w *world) ending(cmd *exec.Cmd, stdout, stderr *output) string {
	text := fmt.Sprintf("ended by itself, exit code %d", cmd.ProcessState.ExitCode())
	if said := w.lastWords(stdout, stderr); said != "" {
		text += ": " + said
	}
	return text
}

// lastWords are the last line that a client complained with.
func (w *world) lastWords(stdout, stderr *output) string {
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	if last, found := strings.CutPrefix(lines[len(lines)-1], "refused "); found {
		return w.clean(last)
	}
	lines = slices.DeleteFunc(strings.Split(strings.TrimSpace(stderr.String()), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "brs-exec:") || strings.TrimSpace(line) == ""
	})
	if len(lines) == 0 {
		return ""
	}
	return w.clean(lines[len(lines)-1])
}

// output collects what a process prints.
type output struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

// String is everything so far.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
