//go:build linux

// Command bench measures what brs-exec costs: time at start, memory and wakings
// while idle, size. It builds brs-exec and a bare wrapper in Go, the floor, and
// measures both in turns in the same run, so that the ratios hold on any
// machine, however busy. Run it from the module:
//
//	go run ./integration/bench
//
// It asserts nothing; the aims are printed beside what was measured.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"time"
)

func main() {
	pairs := flag.Int("pairs", 200, "how many times each command is started")
	idle := flag.Duration("idle", idleFor, "how long to watch an idle process")
	fleet := flag.Duration("fleet", 2*time.Minute, "how long to watch a process with many roles, after each of 1, 10, 100 and 1,000; 0 for not at all")
	requests := flag.Int("requests", 1000, "how many small requests are signed anew; 0 to measure nothing of --deliver sign")
	transfers := flag.Int("transfers", 3, "how many transfers of each kind are signed anew")
	size := flag.Int64("size", 1<<10, "of these transfers, in MiB")
	connections := flag.Int("connections", 1000, "how many connections are held to what signs")
	alone := flag.Bool("sign", false, "measure --deliver sign alone")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == serveMode:
		err = serve(os.Args[2])
	case len(os.Args) > 1 && os.Args[1] == callMode:
		err = call(ctx, os.Args[2:])
	default:
		flag.Parse()
		err = run(ctx, *pairs, *idle, *fleet, signOptions{*requests, *transfers, *connections, *size << 20}, *alone)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// programs are the paths of what was built.
type programs struct{ brsExec, plain, floor string } // the release build, that of go build, and the floor

func build(ctx context.Context, dir string) (programs, error) {
	p := programs{
		brsExec: filepath.Join(dir, "brs-exec"),
		plain:   filepath.Join(dir, "brs-exec-plain"),
		floor:   filepath.Join(dir, "floor"),
	}
	builds := [][]string{
		{"-trimpath", "-tags", "urfave_cli_no_docs,brs_fwdsig", "-ldflags", "-s -w -checklinkname=0", "-o", p.brsExec, "brs-exec.example/brs-exec"},
		{"-o", p.plain, "brs-exec.example/brs-exec"},
		{"-o", p.floor, "brs-exec.example/brs-exec/integration/bench/floor"},
	}
	for _, args := range builds {
		cmd := exec.CommandContext(ctx, "go", append([]string{"build"}, args...)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return p, fmt.Errorf("go build %q: %w\n%s", args, err, out)
		}
	}
	return p, nil
}

func run(ctx context.Context, pairs int, idle, fleet duration, sign signOptions, signAlone bool) error {
	dir, err := os.MkdirTemp("", "brs-exec-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, err := build(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Printf("%s %s/%s, %d processors\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	b := bench{programs: p, peers: peers(), dir: dir}
	if sign.pairs > 0 {
		if err := b.sign(ctx, sign); err != nil || signAlone {
			return err
		}
	}
	if err := b.startUp(ctx, pairs); err != nil {
		return fmt.Errorf("start-up: %w", err)
	}
	if err := b.memory(ctx, idle); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	if err := b.stage(ctx); err != nil {
		return fmt.Errorf("as PID 1: %w", err)
	}
	if err := b.latency(ctx, 1000); err != nil {
		return fmt.Errorf("latency: %w", err)
	}
	if err := b.share(ctx, pairs); err != nil {
		return fmt.Errorf("sharing: %w", err)
	}
	if fleet > 0 {
		if err := b.fleet(ctx, fleet); err != nil {
			return fmt.Errorf("many roles: %w", err)
		}
	}
	if err := b.size(); err != nil {
		return fmt.Errorf("size: %w", err)
	}
	return code(ctx)
}
