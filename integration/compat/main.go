//go:build linux

// Command compat measures which clients outlive their credentials: it runs every
// client program of integration/clients under brs-exec, once for each value of
// --deliver, and once with exported variables and without brs-exec as the
// control, against a server that refuses what has expired. Credentials
// expire after 20 seconds; to survive, a client must make calls past the expiry of
// at least three sets of them without one refusal in the server's log.
//
//	.ci/install-matrix all
//	go run ./integration/compat [-core] [-only NAME,…] [-deliveries NAME,…] [-parallel N] [-missing] [-binary PATH] [-results PATH] [-log] [-write]
//
// Each cell runs in a network namespace that has nothing but loopback. Results
// are kept in a file as they come (-results). -write adds them to
// the record, integration/compat/results.jsonl, in which the newest of a cell
// counts, and makes of the record docs/compatibility.md and the table of what
// clients do that brs-exec doctor has, refresh/doctor/clients/measured.txt.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
)

func main() {
	if runCellIfAsked() {
		return
	}
	o := options{}
	flag.BoolVar(&o.core, "core", false, "the core clients only")
	only := flag.String("only", "", "these clients only, by `names` with commas")
	deliveries := flag.String("deliveries", "", "these deliveries only, by `names` with commas")
	flag.IntVar(&o.parallel, "parallel", 4, "how many cells to run at once")
	flag.BoolVar(&o.write, "write", false, "write the record, docs/compatibility.md and doctor's table")
	flag.StringVar(&o.binary, "binary", "", "`path` of the brs-exec to measure (default: built from this tree)")
	flag.BoolVar(&o.log, "log", false, "print the log of the server on standard error")
	flag.StringVar(&o.results, "results", "", "`path` of the file that keeps the results (default: results.jsonl in $BRS_EXEC_CLIENTS)")
	flag.BoolVar(&o.missing, "missing", false, "only the cells without a result")
	flag.Parse()
	o.only, o.deliveries = names(*only), names(*deliveries)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		os.Exit(1)
	}
}

func names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

type options struct {
	core, write, missing, log bool
	only, deliveries          []string
	parallel                  int
	binary, results           string
}

// places are where things are on this machine.
type places struct {
	Module  string // the source tree
	Clients string // what .ci/install-matrix installed
	BrsExec string // the binary under test
}

// findPlaces builds brs-exec in scratch, unless there is a binary already.
func findPlaces(ctx context.Context, scratch, binary string) (places, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return places{}, fmt.Errorf("go env GOMOD: %w", err)
	}
	p := places{Module: filepath.Dir(strings.TrimSpace(string(out))), Clients: os.Getenv("BRS_EXEC_CLIENTS"), BrsExec: filepath.Join(scratch, "brs-exec")}
	if p.Clients == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return places{}, err
		}
		p.Clients = filepath.Join(home, ".cache", "brs-exec-clients")
	}
	if binary != "" {
		p.BrsExec, err = filepath.Abs(binary)
		return p, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", p.BrsExec, "brs-exec.example/brs-exec")
	build.Dir = p.Module
	if out, err := build.CombinedOutput(); err != nil {
		return places{}, fmt.Errorf("go build brs-exec: %w\n%s", err, out)
	}
	return p, nil
}

func run(ctx context.Context, o options) error {
	scratch, err := os.MkdirTemp("", "brs-exec-compat-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	p, err := findPlaces(ctx, scratch, o.binary)
	if err != nil {
		return err
	}
	kept := cmp.Or(o.results, filepath.Join(p.Clients, "results.jsonl"))
	var results []result
	for _, path := range []string{filepath.Join(p.Module, recordPath), kept} {
		some, err := readResults(path)
		if err != nil {
			return err
		}
		results = append(results, some...)
	}
	cells, err := choose(o, p, results)
	if err != nil {
		return err
	}
	lot := lot{places: p, parallel: o.parallel, log: o.log, done: func(r result) error {
		fmt.Println(r)
		results = append(results, r)
		return keepResult(kept, r)
	}}
	if err := lot.run(ctx, cells); err != nil {
		return err
	}
	if !o.write {
		return nil
	}
	for path, text := range written(results) {
		if err := os.WriteFile(filepath.Join(p.Module, path), text, 0o666); err != nil {
			return err
		}
	}
	return nil
}

const recordPath = "integration/compat/results.jsonl"

// written is what -write makes of the results, by paths in the source tree.
func written(results []result) map[string][]byte {
	return map[string][]byte{
		recordPath:                            record(results),
		"docs/compatibility.md":               page(results),
		"refresh/doctor/clients/measured.txt": table(results),
	}
}

// choose returns the cells that the options ask for, and says which clients are
// not installed.
func choose(o options, p places, have []result) ([]cell, error) {
	for _, name := range o.only {
		if !slices.ContainsFunc(clients, func(c client) bool { return c.name == name }) {
			return nil, fmt.Errorf("-only %s: no client is named so", name)
		}
	}
	for _, name := range o.deliveries {
		if !slices.Contains(deliveries, name) {
			return nil, fmt.Errorf("-deliveries %s: no delivery is named so", name)
		}
	}
	var cells []cell
	for _, c := range clients {
		if o.core && !c.core || len(o.only) > 0 && !slices.Contains(o.only, c.name) {
			continue
		}
		if what := c.missing(p); what != "" {
			fmt.Fprintf(os.Stderr, "compat: %s is left out: %s is missing; .ci/install-matrix brings it\n", c.name, what)
			continue
		}
		for _, delivery := range deliveries {
			if len(o.deliveries) > 0 && !slices.Contains(o.deliveries, delivery) {
				continue
			}
			if o.missing && latest(have, c.name, delivery) != nil {
				continue
			}
			cells = append(cells, cell{Client: c.name, Delivery: delivery})
		}
	}
	return cells, nil
}

// lot runs cells side by side: nearly all of their time they wait for
// credentials to expire.
type lot struct {
	places   places
	parallel int
	log      bool
	done     func(result) error // called for one result at a time
}

func (l lot) run(ctx context.Context, cells []cell) error {
	var (
		mu   sync.Mutex // guards errs, and calls of done
		errs []error
		wg   sync.WaitGroup
	)
	next := make(chan cell)
	for range max(1, l.parallel) {
		wg.Go(func() {
			for c := range next {
				r, err := l.places.runCell(ctx, c, l.log)
				mu.Lock()
				if errors.Is(err, errNoNamespace) {
					fmt.Fprintf(os.Stderr, "compat: %s/%s is left out: %v\n", c.Client, c.Delivery, err)
					mu.Unlock()
					continue
				}
				if err == nil {
					err = l.done(r)
				}
				if err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", c, err))
				}
				mu.Unlock()
			}
		})
	}
	for _, c := range cells {
		select {
		case next <- c:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}
