//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

const (
	weighed     = 40              // instances
	weighedWhen = 5 * time.Second // after their starts
)

// memories measures what each of many idle instances has of the memory: its own pages, and
// its part of those that it shares with the others.
func (b bench) memories(ctx context.Context) error {
	server, err := b.listenSTS(fakeaws.Options{Life: time.Hour}, nil)
	if err != nil {
		return err
	}
	defer server.Close()
	static := filepath.Join(b.dir, "brs-exec-static") // shares no page with those that have a role
	if err := copyProgram(static, b.brsExec); err != nil {
		return err
	}
	defer os.Remove(static)
	kinds := []wrapper{
		{name: "floor", argv: []string{b.floor}},
		{name: "brs-exec, static credentials", argv: []string{static, "--quiet", "--"}},
		{name: "brs-exec, a role", argv: []string{b.brsExec, "--quiet", "--role-arn", roleARN, "--"}},
	}
	kinds = append(kinds, b.initPrograms()...)
	rooms := make([]*place, len(kinds))
	for i, k := range kinds {
		in, err := b.place(ctx)
		if err != nil {
			return err
		}
		defer in.end()
		rooms[i] = in
		_, err = in.do(order{Argv: append(slices.Clone(k.argv), "/bin/sh", "-c", "echo; read -r _"), Env: with(in.env, server.env), Crowd: weighed})
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	if err := wait(ctx, weighedWhen); err != nil {
		return err
	}
	t := table{
		name: "memory", title: "memory",
		how:  fmt.Sprintf("PSS of each of %d idle instances after %s, from the least to the most: its own pages, and its part of those that several have", weighed, long(weighedWhen)),
		head: []string{"program", "PSS, MB", "its own pages, MB"},
	}
	for i, k := range kinds {
		c, err := rooms[i].do(order{Weigh: true})
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		cell := func(kb []float64) string {
			slices.Sort(kb)
			return fmt.Sprintf("%.2f (%.2f-%.2f)", median(kb)/1024, kb[0]/1024, kb[len(kb)-1]/1024)
		}
		pss := cell(c.PSS)
		t.row(k.name, pss, cell(c.Anonymous))
		if k.name == "brs-exec, a role" {
			t.aim(fmt.Sprintf("memory of each of %d idle instances with a role", weighed), "2.2 MB", pss+" MB")
		}
	}
	b.report.add(t)
	return nil
}

// weigh adds to c what each process has, in KiB.
func (c *cost) weigh(pids []int) error {
	for _, pid := range pids {
		rollup, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
		if err != nil {
			return err
		}
		c.PSS = append(c.PSS, float64(field(rollup, "\nPss:")))
		c.Anonymous = append(c.Anonymous, float64(field(rollup, "\nAnonymous:")))
	}
	return nil
}
