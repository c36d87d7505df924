//go:build linux

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

const (
	shareLatency = 100 * time.Millisecond // of STS
	shareStarts  = 40
)

// share measures what processes with the same source cost that start at once, with and
// without --share, and a start that finds what others have retrieved.
func (b bench) share(ctx context.Context, pairs int) error {
	fmt.Printf("%d starts at once with an STS of %v, until each command has ended\n", shareStarts, shareLatency)
	role := []string{"--quiet", "--role-arn", "arn:aws:iam::123456789012:role/App"}
	for _, way := range []struct {
		name  string
		flags []string
	}{
		{"each for itself", nil},
		{"--share", []string{"--share", "--share-dir", filepath.Join(b.dir, "share-crowd")}},
	} {
		server, env, err := b.shareServer()
		if err != nil {
			return err
		}
		argv := slices.Concat([]string{b.brsExec}, role, way.flags, []string{"--", "/bin/true"})
		took, err := atOnce(ctx, shareStarts, argv, env)
		calls := len(server.Calls())
		server.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
		first, last := took[0], took[len(took)-1]
		fmt.Printf("  %-16s %2d calls; the first after %6.1f ms, the last after %6.1f ms: %.2f x\n", way.name, calls, ms(first), ms(last), ratio(last, first))
	}
	if err := b.shareCached(ctx, pairs, role); err != nil {
		return err
	}
	fmt.Println()
	return nil
}

func (b bench) shareServer() (*fakeaws.Server, []string, error) {
	server, err := fakeaws.Listen(fakeaws.Options{Life: time.Hour, Hold: map[string]time.Duration{"AssumeRole": shareLatency}})
	if err != nil {
		return nil, nil, err
	}
	return server, b.fleetEnv(server), nil
}

// atOnce starts a command so many times, and returns when each has ended, from the first
// start on, in order.
func atOnce(ctx context.Context, n int, argv, env []string) ([]duration, error) {
	took := make([]duration, n)
	errs := make([]error, n)
	began := time.Now()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			_, errs[i] = timed(ctx, argv, env)
			took[i] = time.Since(began)
		})
	}
	all.Wait()
	slices.Sort(took)
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return took, nil
}

// shareCached compares, in turns, starts with static keys and starts with a role that is cached.
func (b bench) shareCached(ctx context.Context, pairs int, role []string) error {
	server, env, err := b.shareServer()
	if err != nil {
		return err
	}
	defer server.Close()
	dir := []string{"--share", "--share-dir", filepath.Join(b.dir, "share-cached")}
	ways := [][]string{
		{b.brsExec, "--quiet", "--", "/bin/true"},
		slices.Concat([]string{b.brsExec}, role, dir, []string{"--", "/bin/true"}),
	}
	times := make([][]duration, len(ways))
	for round := range pairs + 5 {
		for i, argv := range ways {
			took, err := timed(ctx, argv, env)
			if err != nil {
				return err
			}
			if round >= 5 { // the first one asks
				times[i] = append(times[i], took)
			}
		}
	}
	for _, t := range times {
		slices.Sort(t)
	}
	static, cached := times[0][pairs/2], times[1][pairs/2]
	fmt.Printf("  a start that finds what is cached: %.2f ms, %.2f x that with static keys (%.2f ms), %d calls in all\n", ms(cached), ratio(cached, static), ms(static), len(server.Calls()))
	return nil
}
