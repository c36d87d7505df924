//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

// settle is how long a process is left alone before its memory is read.
const (
	settle  = 2 * time.Second
	idleFor = 20 * time.Second
)

// usage is what /proc tells of a process.
type usage struct {
	rss, anonymous int // KiB
	ticks          int // of processor time, user and system
	switches       int // voluntary context switches of all threads: wakings
	threads        int
}

// memory looks at processes whose command does nothing, after a while and then
// over a longer while.
func (b bench) memory(ctx context.Context, idle duration) error {
	server, err := fakeaws.Listen(fakeaws.Options{Life: time.Hour})
	if err != nil {
		return err
	}
	defer server.Close()
	keys := server.Bootstrap()
	command := []string{"/bin/sh", "-c", "echo ready; read -r _"}
	role := []string{b.brsExec, "--role-arn", "arn:aws:iam::123456789012:role/App", "--"}
	roleEnv := b.environ("AWS_ENDPOINT_URL_STS="+server.URL(), "AWS_ACCESS_KEY_ID="+keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+keys.SecretAccessKey)
	type idler struct {
		wrapper
		env []string
	}
	watched := []idler{
		{wrapper{name: "floor", argv: []string{b.floor}}, b.environ()},
		{wrapper{name: "brs-exec, static credentials", argv: []string{b.brsExec, "--quiet", "--"}}, b.environ()},
		{wrapper{name: "brs-exec, assumed role", argv: role}, roleEnv},
	}
	for _, w := range b.initPrograms() {
		watched = append(watched, idler{w, b.environ()})
	}
	pids := make([]int, len(watched))
	for i, w := range watched {
		h, _, err := start(ctx, append(slices.Clone(w.argv), command...), w.env)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		defer h.end()
		pids[i] = h.cmd.Process.Pid
	}
	if err := wait(ctx, settle); err != nil {
		return err
	}
	before := make([]usage, len(watched))
	for i := range watched {
		if before[i], err = readUsage(pids[i]); err != nil {
			return err
		}
	}
	if err := wait(ctx, idle); err != nil {
		return err
	}
	fmt.Printf("idle: memory after %v, processor and wakings in the %v after that\n", settle, idle)
	for i, w := range watched {
		after, err := readUsage(pids[i])
		if err != nil {
			return err
		}
		fmt.Printf("  %-32s resident %6.2f MB   anonymous %5.2f MB   %d threads   %d ticks   %d context switches\n", w.name,
			float64(before[i].rss)/1024, float64(before[i].anonymous)/1024, before[i].threads,
			after.ticks-before[i].ticks, after.switches-before[i].switches)
	}
	fmt.Print("  aims: resident 10.5 MB, anonymous 5 MB, 0 ticks\n\n")
	return nil
}

func wait(ctx context.Context, d duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func readUsage(pid int) (usage, error) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return usage{}, err
	}
	u := usage{rss: field(status, "VmRSS:"), anonymous: field(status, "RssAnon:"), threads: field(status, "Threads:")}
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return usage{}, err
	}
	// The name in parentheses may hold blanks; utime and stime are the 12th and
	// 13th field after it (proc(5)).
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	u.ticks = user + system
	tasks, err := filepath.Glob(filepath.Join(proc, "task", "*", "status"))
	if err != nil {
		return usage{}, err
	}
	for _, path := range tasks {
		if b, err := os.ReadFile(path); err == nil {
			u.switches += field(b, "\nvoluntary_ctxt_switches:")
		}
	}
	return u, nil
}

// field is the number after name in a file such as /proc/PID/status.
func field(b []byte, name string) int {
	_, rest, _ := strings.Cut(string(b), name)
	words := strings.Fields(rest)
	if len(words) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(words[0])
	return n
}
