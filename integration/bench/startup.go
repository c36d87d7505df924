//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"
)

type duration = time.Duration

// bench is one run: what was built, and a directory to work in.
type bench struct {
	programs
	peers []wrapper
	dir   string
}

// environ is what the measured processes run with: static credentials, no files
// of the user's, and nothing that would go to the network.
func (b bench) environ(extra ...string) []string {
	return append([]string{
		"PATH=/usr/bin:/bin",
		"HOME=" + b.dir,
		"XDG_RUNTIME_DIR=" + b.dir,
		"AWS_CONFIG_FILE=" + filepath.Join(b.dir, "none"),
		"AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(b.dir, "none"),
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=AKIABENCH",
		"AWS_SECRET_ACCESS_KEY=bench",
	}, extra...)
}

// startUp compares the whole life of processes that do nothing.
func (b bench) startUp(ctx context.Context, pairs int) error {
	held, runDir, err := b.hold(ctx)
	if err != nil {
		return err
	}
	defer held.end()
	commands := []wrapper{
		{"true", []string{"/bin/true"}},
		{"floor true", []string{b.floor, "/bin/true"}},
		{"brs-exec -- true", []string{b.brsExec, "--quiet", "--", "/bin/true"}},
		{"brs-exec version", []string{b.brsExec, "version"}},
		{"brs-exec credentials --run-dir", []string{b.brsExec, "credentials", "--run-dir", runDir}},
	}
	for _, w := range b.peers {
		commands = append(commands, wrapper{w.name + " true", append(slices.Clone(w.argv), "/bin/true")})
	}
	times := make([][]duration, len(commands))
	for round := range pairs + 5 {
		for i, c := range commands {
			took, err := timed(ctx, c.argv, b.environ())
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if round >= 5 { // the first ones warm the page cache
				times[i] = append(times[i], took)
			}
		}
	}
	median := make([]duration, len(commands))
	for i := range times {
		slices.Sort(times[i])
		median[i] = times[i][len(times[i])/2]
	}
	fmt.Printf("start-up, median of %d interleaved runs each\n", pairs)
	for i, c := range commands {
		fmt.Printf("  %-32s %7.2f ms   added %7.2f ms   10th-90th percentile %.2f-%.2f ms\n", c.name,
			ms(median[i]), ms(median[i]-median[0]), ms(times[i][len(times[i])/10]), ms(times[i][len(times[i])*9/10]))
	}
	// "version" does nothing: it is what the size of the binary alone costs.
	floor := median[1] - median[0]
	fmt.Printf("  brs-exec adds %.2f x what the floor adds (aim 1.4)\n", ratio(median[2]-median[0], floor))
	fmt.Printf("  credentials --run-dir takes %.2f x the floor's time (aim 1.2)\n\n", ratio(median[4], median[1]))
	return nil
}

func timed(ctx context.Context, argv, env []string) (duration, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = env
	began := time.Now()
	err := cmd.Run()
	return time.Since(began), err
}

// holder is a command under brs-exec or the floor that waits until it is ended.
type holder struct {
	cmd *exec.Cmd
	in  interface{ Close() error }
}

func (h holder) end() {
	h.in.Close()
	h.cmd.Wait()
}

// start runs argv until end, and returns the first line that it prints.
func start(ctx context.Context, argv, env []string) (holder, string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env, cmd.Stderr = env, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return holder{}, "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return holder{}, "", err
	}
	if err := cmd.Start(); err != nil {
		return holder{}, "", err
	}
	h := holder{cmd, in}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		h.end()
		return h, "", fmt.Errorf("%q: %w", argv, err)
	}
	return h, strings.TrimSpace(line), nil
}

// hold starts a brs-exec whose run directory the start-up measurement asks, with
// credentials that expire, as SDKs meet them.
func (b bench) hold(ctx context.Context) (holder, string, error) {
	server, err := fakeaws.Listen(fakeaws.Options{Life: time.Hour})
	if err != nil {
		return holder{}, "", err
	}
	defer server.Close()
	keys := server.Bootstrap()
	h, config, err := start(ctx,
		[]string{b.brsExec, "--role-arn", "arn:aws:iam::123456789012:role/App", "--", "/bin/sh", "-c", `echo "$AWS_CONFIG_FILE"; read -r _`},
		b.environ("AWS_ENDPOINT_URL_STS="+server.URL(), "AWS_ACCESS_KEY_ID="+keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+keys.SecretAccessKey))
	return h, filepath.Dir(config), err
}

func ms(d duration) float64 { return float64(d) / float64(time.Millisecond) }

func ratio(a, b duration) float64 { return float64(a) / float64(b) }
