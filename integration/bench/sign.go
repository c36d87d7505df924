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
)

// signWay is one of the ways from a client by way of brs-exec to a service.
type signWay struct {
	name     string
	via      string // of --sign-via
	upstream string // the scheme of the service
}

var signWays = []signWay{
	{"endpoint, service without TLS", "endpoint", "http"},
	{"endpoint, service with TLS", "endpoint", "https"},
	{"proxy, TLS on both sides", "proxy", "https"},
}

// signOptions say how much of it is measured.
type signOptions struct {
	pairs, rounds, connections int
	size                       int64 // of the transfers
}

// sign measures what --deliver sign adds to a client that asks a service. The client is the
// command, a process of its own as the service is, and goes the direct way and that by
// brs-exec in turns. Where all three have fewer processors than they could use, the ratio of
// the times is that of all work to the work without brs-exec; so the processor time of each
// process is printed, too.
func (b bench) sign(ctx context.Context, o signOptions) error {
	service, line, err := start(ctx, []string{b.self, serveMode, b.dir}, b.environ())
	if err != nil {
		return err
	}
	defer service.end()
	words := strings.Fields(line) // the URLs with and without TLS, and the file of the authority
	if len(words) != 3 {
		return fmt.Errorf("the service says %q", line)
	}
	urls := map[string]string{"http": words[0], "https": words[1]}
	fmt.Printf("--deliver sign: a client and a service in Go, %d pairs of small requests, %d of transfers of %d MiB, %d connections\n", o.pairs, o.rounds, o.size>>20, o.connections)
	for _, way := range signWays {
		fmt.Printf("  %s\n", way.name)
		url := urls[way.upstream]
		cmd := exec.CommandContext(ctx, b.brsExec, "--quiet", "--deliver", "sign", "--sign-via", way.via, "--sign-host", "127.0.0.1", "--",
			b.self, callMode, way.via, url, strconv.Itoa(service.cmd.Process.Pid), fmt.Sprint(o.pairs), fmt.Sprint(o.rounds), fmt.Sprint(o.size), fmt.Sprint(o.connections))
		cmd.Env = b.environ("AWS_ENDPOINT_URL="+url, "AWS_CA_BUNDLE="+words[2])
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
	}
	fmt.Print("  aims: 0.3 ms more at p50; 0.8 of the direct throughput, 0.5 with signed chunks; 64 MiB for 1,000 connections\n\n")
	return b.signStart(ctx, o.pairs/10)
}

// signStart compares starts with and without --deliver sign.
func (b bench) signStart(ctx context.Context, pairs int) error {
	ways := [][]string{
		{b.brsExec, "--quiet", "--", "/bin/true"},
		{b.brsExec, "--quiet", "--deliver", "sign", "--", "/bin/true"},
	}
	times := make([][]duration, len(ways))
	for range pairs {
		for i, argv := range ways {
			took, err := timed(ctx, argv, b.environ())
			if err != nil {
				return err
			}
			times[i] = append(times[i], took)
		}
	}
	for _, t := range times {
		slices.Sort(t)
	}
	plain, sign := times[0][pairs/2], times[1][pairs/2]
	fmt.Printf("  start-up with --deliver sign: %.2f ms, %.2f x that without (%.2f ms)\n\n", ms(sign), ratio(sign, plain), ms(plain))
	return nil
}
