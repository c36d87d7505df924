//go:build linux

// Command bench measures what brs-exec costs: time, work and memory at the start, for many
// at once, beside many others, while idle, and of what it serves. It builds brs-exec and a
// bare wrapper in Go, the floor, and measures both, and the programs that are used in
// place of brs-exec where they are installed (.ci/install-peers), in turns in the same run,
// so that the ratios hold on any machine, however busy. Run it from the module:
//
//	go run ./integration/bench
//	go run ./integration/bench -only start,role
//	go run ./integration/bench -write docs/performance.md
//
// It asserts nothing; the aims are printed beside what was measured.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"
)

// options say how much is measured.
type options struct {
	only             string
	write            string
	rounds           int
	idle, fleet, day duration
	sign             signOptions
}

func flags(args []string) (o options, err error) {
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.only, "only", "", "measure these alone, a list of: "+strings.Join(names(), ", "))
	f.StringVar(&o.write, "write", "", "write a page with the figures, such as docs/performance.md, and measure what it has")
	f.IntVar(&o.rounds, "rounds", 200, "how many times each command is started")
	f.DurationVar(&o.idle, "idle", 20*time.Second, "how long to watch an idle process")
	f.DurationVar(&o.fleet, "fleet", 35*time.Second, "how long to watch a process with many roles, after each of 1, 10, 100 and 1,000")
	f.DurationVar(&o.day, "day", 4*time.Minute, "how long at least to watch idle processes with a role, which is done beside all else")
	f.IntVar(&o.sign.pairs, "requests", 1000, "how many small requests are signed anew")
	f.IntVar(&o.sign.rounds, "transfers", 3, "how many transfers of each kind are signed anew")
	size := f.Int64("size", 256, "of these transfers, in MiB")
	f.IntVar(&o.sign.connections, "connections", 1000, "how many connections are held to what signs")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.sign.size = *size << 20
	if f.NArg() > 0 {
		return o, fmt.Errorf("%q: no arguments are known", f.Args())
	}
	if o.write != "" && o.only != "" {
		return o, errors.New("-write needs all that is on the page, and -only leaves some out")
	}
	for _, name := range o.chosen() {
		if !slices.Contains(names(), name) {
			return o, fmt.Errorf("-only %s: there are %s", name, strings.Join(names(), ", "))
		}
	}
	return o, nil
}

func (o options) chosen() []string {
	switch {
	case o.write != "":
		return onPage
	case o.only == "":
		return names()
	}
	return strings.Split(o.only, ",")
}

// measurements are in the order in which they are made.
var measurements = []struct {
	name string
	make func(bench, context.Context, options) error
}{
	{"start", func(b bench, ctx context.Context, o options) error { return b.startUp(ctx, o.rounds) }},
	{"crowd", func(b bench, ctx context.Context, o options) error { return b.crowded(ctx, o.rounds*3/4) }},
	{"role", func(b bench, ctx context.Context, o options) error { return b.roles(ctx, max(o.rounds/20, 3)) }},
	{"memory", func(b bench, ctx context.Context, o options) error { return b.memories(ctx) }},
	{"endpoint", func(b bench, ctx context.Context, o options) error { return b.endpoint(ctx) }},
	{"idle", func(b bench, ctx context.Context, o options) error { return b.memory(ctx, o.idle) }},
	{"stage", func(b bench, ctx context.Context, o options) error { return b.stage(ctx) }},
	{"latency", func(b bench, ctx context.Context, o options) error { return b.latency(ctx, 1000) }},
	{"share", func(b bench, ctx context.Context, o options) error { return b.share(ctx, o.rounds) }},
	{"sign", func(b bench, ctx context.Context, o options) error { return b.sign(ctx, o.sign) }},
	{"fleet", func(b bench, ctx context.Context, o options) error { return b.fleet(ctx, o.fleet) }},
	{"day", func(b bench, ctx context.Context, o options) error { return b.dusk(ctx, b.day, o.day) }},
	{"size", func(b bench, ctx context.Context, o options) error { return b.size() }},
	{"code", func(b bench, ctx context.Context, o options) error { return code(ctx) }},
}

func names() (all []string) {
	for _, m := range measurements {
		all = append(all, m.name)
	}
	return all
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := dispatch(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		os.Exit(1)
	}
}

// dispatch is what this program does: the bench, or one of the processes that it starts.
func dispatch(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case serveMode:
			return serve(args[1])
		case callMode:
			return call(ctx, args[1:])
		case answerMode:
			return answerAll()
		case roomMode:
			return room(args[1])
		case apartMode:
			return runApart(ctx, args[1], args[2:])
		}
	}
	o, err := flags(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("/var/tmp", "brs-exec-bench-") // others are hidden, see settleIn
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := build(ctx, dir); err != nil {
		return err
	}
	if err := apart(ctx, dir, args); !errors.Is(err, errNotApart) {
		return err
	}
	fmt.Println("no namespaces of their own for what is measured: other runs on this machine count")
	return run(ctx, dir, o, false)
}

// run measures with the programs that are built in dir.
func run(ctx context.Context, dir string, o options, apart bool) error {
	b := bench{programs: programsIn(dir), dir: dir, apart: apart, report: &report{}}
	if !apart {
		if err := b.findRunDir(); err != nil {
			return err
		}
		defer os.RemoveAll(b.runDir)
	}
	if err := b.findPeers(ctx); err != nil {
		return err
	}
	fmt.Printf("%s %s/%s, %d processors\n\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if slices.Contains(o.chosen(), "day") {
		var err error
		if b.day, err = b.dawn(ctx); err != nil {
			return fmt.Errorf("day: %w", err)
		}
		defer b.day.room.end()
	}
	for _, m := range measurements {
		if !slices.Contains(o.chosen(), m.name) {
			continue
		}
		if err := m.make(b, ctx, o); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if o.write != "" {
		return b.writePage(ctx, o.write)
	}
	return nil
}
