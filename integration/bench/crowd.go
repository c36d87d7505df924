//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
)

const (
	liveRuns     = 1000
	foreignNames = 10000
)

// crowded compares starts among many other runs, and among many files of other programs,
// with starts alone.
func (b bench) crowded(ctx context.Context, rounds int) error {
	live, err := affordable(liveRuns)
	if err != nil {
		return err
	}
	alone, err := b.place(ctx)
	if err != nil {
		return err
	}
	defer alone.end()
	among, err := b.place(ctx)
	if err != nil {
		return err
	}
	defer among.end()
	if _, err := among.do(order{Argv: []string{b.brsExec, "--quiet", "--", "/bin/sh", "-c", "echo; read -r _"}, Crowd: live}); err != nil {
		return err
	}
	named, err := b.place(ctx)
	if err != nil {
		return err
	}
	defer named.end()
	if _, err := named.do(order{Names: foreignNames}); err != nil {
		return err
	}
	echo := func(argv ...string) order { return order{Argv: append(argv, "/bin/echo"), AtOnce: 1} }
	bare, floor, brsExec := echo(), echo(b.floor), echo(b.brsExec, "--quiet", "--")
	all, err := interleave(ctx, rounds, []task{
		{"echo", alone, bare},
		{"floor", alone, floor}, {"brs-exec", alone, brsExec},
		{"floor among runs", among, floor}, {"brs-exec among runs", among, brsExec},
		{"floor among files", named, floor}, {"brs-exec among files", named, brsExec},
	})
	if err != nil {
		return err
	}
	t := table{
		name: "crowd", title: "start beside others",
		how:  fmt.Sprintf("%d rounds in any order; x is (there - echo) / (alone - echo), with the middle 95 %% of draws; the floor shows what is the machine's part", rounds),
		head: []string{"where", "command", "to the command's line, ms", "x alone", "to the end, ms", "x alone", "CPU, ms", "x alone"},
	}
	for i, where := range []string{"alone", fmt.Sprintf("among %d other runs", live), fmt.Sprintf("among %d files of others in each directory", foreignNames)} {
		for j, name := range []string{"floor", "brs-exec"} {
			at, here := all[1+2*i+j], all[1+j]
			cells := []string{where, name}
			for _, of := range []func(samples) []float64{samples.first, samples.wall, samples.cpu} {
				x := times(of(at), of(here), of(all[0])).String()
				cells = append(cells, fmt.Sprintf("%.2f", median(of(at))), x)
			}
			t.row(cells...)
			if i > 0 && name == "brs-exec" {
				t.aim("start "+where, "1.1 x alone", fmt.Sprintf("%s x to the command's line, %s x in CPU to the end", cells[3], cells[7]))
			}
		}
	}
	b.report.add(t)
	return nil
}

// affordable is how many of n runs the machine has memory for, with a margin.
func affordable(n int) (int, error) {
	const each = 8 << 10 // KiB; one has about 3 MB of its own
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	return max(1, min(n, field(info, "MemAvailable:")/each)), nil
}
