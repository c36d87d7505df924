//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// probe answers each USR1 with a byte as soon as it has it: it waits in
// sigwait(3), as no Go program can.
const probe = `
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
os.write(1, b"ready\n")
while True:
    signal.sigwait({signal.SIGUSR1})
    os.write(1, b"x")
`

// latency measures the way of a signal from the wrapper to its command, against
// the usual init programs where they are installed.
func (b bench) latency(ctx context.Context, signals int) error {
	python, err := exec.LookPath("python3")
	if err != nil {
		fmt.Print("signal latency: not measured, there is no python3\n\n")
		return nil
	}
	wrappers := append([]wrapper{
		{name: "bare"},
		{name: "floor", argv: []string{b.floor}},
		{name: "brs-exec", argv: []string{b.brsExec, "--quiet", "--"}},
	}, b.initPrograms()...)
	fmt.Printf("signal latency, from kill(2) to the command's answer, %d signals each\n", signals)
	floor := duration(0)
	for _, w := range wrappers {
		took, lost, err := b.volley(ctx, append(slices.Clone(w.argv), python, "-c", probe), signals)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		p50, p99 := took[len(took)/2], took[len(took)*99/100]
		if w.name == "floor" {
			floor = p50
		}
		against := ""
		if floor > 0 {
			against = fmt.Sprintf("   p50 %.2f x the floor's", ratio(p50, floor))
		}
		fmt.Printf("  %-12s p50 %6.0f µs   p99 %6.0f µs   %d lost%s\n", w.name,
			float64(p50)/float64(time.Microsecond), float64(p99)/float64(time.Microsecond), lost, against)
	}
	fmt.Print("  aim: p50 1.1 x the floor's\n\n")
	return nil
}

func (b bench) volley(ctx context.Context, argv []string, signals int) (took []duration, lost int, err error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, 0, err
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = b.environ(), in, os.Stderr
	err = cmd.Start()
	in.Close()
	if err != nil {
		return nil, 0, err
	}
	defer cmd.Wait()
	defer cmd.Process.Signal(syscall.SIGTERM) // passed on: the probe ends by it
	buf := make([]byte, len("ready\n"))
	if _, err := out.Read(buf); err != nil {
		return nil, 0, err
	}
	for range signals {
		out.SetReadDeadline(time.Now().Add(time.Second))
		began := time.Now()
		if err := cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			return nil, 0, err
		}
		if _, err := out.Read(buf[:1]); err != nil {
			lost++
			continue
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	if len(took) == 0 {
		return nil, lost, fmt.Errorf("%d signals, and no answer", signals)
	}
	return took, lost, nil
}

// stage measures the two processes that brs-exec is as PID 1.
func (b bench) stage(ctx context.Context) error {
	if os.Geteuid() != 0 {
		fmt.Print("as PID 1: not measured, a PID namespace needs root here\n\n")
		return nil
	}
	h, line, err := start(ctx, []string{
		"unshare", "--pid", "--fork", "--mount-proc", b.brsExec, "--quiet", "--", "/bin/sh", "-c",
		// From in there: 1 is the stage, our parent the worker.
		`sleep 2; for p in 1 $PPID; do sed -n 's/^\(VmRSS\|RssAnon\):[^0-9]*\([0-9]*\) kB/\2/p' /proc/$p/status; done | tr '\n' ' '; echo; read -r _`,
	}, b.environ())
	if err != nil {
		return err
	}
	defer h.end()
	var kb [4]float64
	for i, word := range strings.Fields(line) {
		if i < len(kb) {
			kb[i], _ = strconv.ParseFloat(word, 64)
		}
	}
	fmt.Printf("as PID 1: stage resident %.2f MB, anonymous %.2f MB (aim 3 MB); worker resident %.2f MB, anonymous %.2f MB\n\n",
		kb[0]/1024, kb[1]/1024, kb[2]/1024, kb[3]/1024)
	return nil
}
