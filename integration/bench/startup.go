//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
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
	peers  []wrapper
	dir    string
	apart  bool   // in namespaces of its own
	runDir string // for run directories if it is not
	report *report
	day    *day // measured beside all else
}

// environ is what the measured processes run with: static credentials, no files
// of the user's, and nothing that would go to the network.
func (b bench) environ(extra ...string) []string {
	env := []string{
		"PATH=/usr/bin:/bin",
		"HOME=" + b.dir,
		"AWS_CONFIG_FILE=" + filepath.Join(b.dir, "none"),
		"AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(b.dir, "none"),
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=AKIABENCH",
		"AWS_SECRET_ACCESS_KEY=bench",
	}
	if !b.apart {
		env = append(env, "XDG_RUNTIME_DIR="+b.runDir)
	}
	return append(env, extra...)
}

// warmUp is how many rounds are not counted: they bring the programs into the page cache.
const warmUp = 5

// task is a command of a round, started in a place.
type task struct {
	name string
	in   *place
	order
}

// interleave runs all tasks once a round, in another order each time, and returns their
// costs by task.
func interleave(ctx context.Context, rounds int, tasks []task) ([]samples, error) {
	all := make([]samples, len(tasks))
	for round := range rounds + warmUp {
		for _, i := range rand.Perm(len(tasks)) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			c, err := tasks[i].in.do(tasks[i].order)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", tasks[i].name, err)
			}
			if round >= warmUp {
				all[i] = append(all[i], c)
			}
		}
	}
	return all, nil
}

// startUp compares the whole life of processes that do nothing.
func (b bench) startUp(ctx context.Context, rounds int) error {
	held, runDir, err := b.hold(ctx)
	if err != nil {
		return err
	}
	defer held.end()
	in, err := b.place(ctx)
	if err != nil {
		return err
	}
	defer in.end()
	tasks := []task{
		{name: "true", order: order{Argv: []string{"/bin/true"}}},
		{name: "floor true", order: order{Argv: []string{b.floor, "/bin/true"}}},
		{name: "brs-exec -- true", order: order{Argv: []string{b.brsExec, "--quiet", "--", "/bin/true"}}},
		{name: "brs-exec version", order: order{Argv: []string{b.brsExec, "version"}}},
		{name: "brs-exec credentials --run-dir", order: order{Argv: []string{b.brsExec, "credentials", "--run-dir", runDir}}},
	}
	for _, w := range b.peers {
		tasks = append(tasks, task{name: w.name + " true", order: order{Argv: append(slices.Clone(w.argv), "/bin/true"), Env: w.env}})
	}
	for i := range tasks {
		tasks[i].in = in
	}
	all, err := interleave(ctx, rounds, tasks)
	if err != nil {
		return err
	}
	bare, floor := all[0], all[1]
	t := table{
		name: "start", title: "start with static credentials",
		how:  fmt.Sprintf("medians of %d rounds in any order; x is (command - true) / (floor - true), with the middle 95 %% of 1,000 draws of the same rounds", rounds),
		head: []string{"command", "wall, ms", "x floor", "CPU, ms", "x floor", "page faults"},
	}
	for i, task := range tasks {
		wall, cpu := "", ""
		if i > 0 {
			wall, cpu = times(all[i].wall(), floor.wall(), bare.wall()).String(), times(all[i].cpu(), floor.cpu(), bare.cpu()).String()
		}
		t.row(task.name, fmt.Sprintf("%.2f", median(all[i].wall())), wall, fmt.Sprintf("%.2f", median(all[i].cpu())), cpu, fmt.Sprintf("%.0f", median(all[i].faults())))
		if i == 2 {
			t.aim("start with a static source", "2.1 x the floor", wall+" x")
		}
		if strings.HasPrefix(task.name, "aws-vault") {
			t.aim("start with a static source, beside aws-vault exec", "1 x", times(all[2].wall(), all[i].wall(), bare.wall()).String()+" x")
		}
	}
	b.report.add(t)
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
// credentials that expire, as SDKs meet them. That directory is not among those that the
// measured processes look through.
func (b bench) hold(ctx context.Context) (holder, string, error) {
	server, err := fakeaws.Listen(fakeaws.Options{Life: time.Hour})
	if err != nil {
		return holder{}, "", err
	}
	defer server.Close()
	keys := server.Bootstrap()
	runtime, err := os.MkdirTemp(b.dir, "held-")
	if err != nil {
		return holder{}, "", err
	}
	h, config, err := start(ctx,
		[]string{b.brsExec, "--role-arn", "arn:aws:iam::123456789012:role/App", "--", "/bin/sh", "-c", `echo "$AWS_CONFIG_FILE"; read -r _`},
		b.environ("AWS_ENDPOINT_URL_STS="+server.URL(), "AWS_ACCESS_KEY_ID="+keys.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+keys.SecretAccessKey, "XDG_RUNTIME_DIR="+runtime))
	if err != nil {
		return h, "", err
	}
	dir := filepath.Dir(config)
	if filepath.Dir(dir) != runtime {
		h.end()
		return h, "", fmt.Errorf("the run directory is %s, not in XDG_RUNTIME_DIR=%s", dir, runtime)
	}
	return h, dir, nil
}

func ms(d duration) float64 { return float64(d) / float64(time.Millisecond) }

func ratio(a, b duration) float64 { return float64(a) / float64(b) }
