//go:build linux

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

const (
	shareLatency = 100 * time.Millisecond // of STS
)

// share measures a start that finds what others have retrieved. What --share is to many that
// start at once, the measurement of roles has.
func (b bench) share(ctx context.Context, pairs int) error {
	role := []string{"--quiet", "--role-arn", "arn:aws:iam::123456789012:role/App"}
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
