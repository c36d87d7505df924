//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
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
	const rounds = 20
	took, p50s, lost := make([][]duration, len(wrappers)), make([][]float64, len(wrappers)), make([]int, len(wrappers))
	for range rounds {
		for _, i := range rand.Perm(len(wrappers)) {
			some, missed, err := b.volley(ctx, append(slices.Clone(wrappers[i].argv), python, "-c", probe), signals/rounds)
			if err != nil {
				return fmt.Errorf("%s: %w", wrappers[i].name, err)
			}
			took[i], p50s[i], lost[i] = append(took[i], some...), append(p50s[i], ms(percentileOf(some, 50))), lost[i]+missed
		}
	}
	t := table{
		name: "latency", title: "signals",
		how:  fmt.Sprintf("from kill(2) to the command's answer, %d signals in %d rounds in any order; x is of the medians of rounds, with the middle 95 %% of 1,000 draws of the same rounds", signals, rounds),
		head: []string{"program", "p50, µs", "p50, x floor", "p99, µs", "lost"},
	}
	micro := func(d duration) string { return fmt.Sprintf("%.0f", float64(d)/float64(time.Microsecond)) }
	none := make([]float64, rounds)
	for i, w := range wrappers {
		x := times(p50s[i], p50s[1], none).String()
		t.row(w.name, micro(percentileOf(took[i], 50)), x, micro(percentileOf(took[i], 99)), fmt.Sprint(lost[i]))
		if w.name == "brs-exec" {
			t.aim("a signal's way to the command, p50", "1.1 x the floor", x+" x")
		}
	}
	b.report.add(t)
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
	if len(took) == 0 {
		return nil, lost, fmt.Errorf("%d signals, and no answer", signals)
	}
	return took, lost, nil
}

// stage measures the two processes that brs-exec is as PID 1.
func (b bench) stage(ctx context.Context) error {
	if !b.apart {
		fmt.Print("as PID 1: not measured, there are no namespaces here\n\n")
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
