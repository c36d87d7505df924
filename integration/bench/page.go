//go:build linux

package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"text/template"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed performance.md.tmpl
var pageText string

// onPage are the measurements that the page has.
var onPage = []string{"start", "crowd", "role", "memory", "endpoint", "latency", "day", "size"}

// page is what the template of the page is filled with.
type page struct {
	Date, Version, Commit string
	machine               [][]string
	tables                []table
}

// writePage writes the page of what was measured.
func (b bench) writePage(ctx context.Context, path string) error {
	p := page{Date: time.Now().UTC().Format(time.DateOnly), tables: b.report.tables}
	version, err := exec.CommandContext(ctx, b.brsExec, "version").Output()
	if err != nil {
		return fmt.Errorf("brs-exec version: %w", err)
	}
	// "brs-exec VERSION (...)"; a commit behind a plus is told besides
	p.Version, _, _ = strings.Cut(strings.Fields(string(version) + " ? ?")[1], "+")
	commit, err := exec.CommandContext(ctx, "git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty= with changes").Output()
	if err != nil {
		return fmt.Errorf("git describe: %w", err)
	}
	p.Commit = strings.TrimSpace(string(commit))
	if p.machine, err = machine(); err != nil {
		return err
	}
	p.machine = append(p.machine, []string{"beside", b.peerVersions(ctx)})
	text, err := p.render()
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

func (p page) render() ([]byte, error) {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, p); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// machine says of what class the machine is, and nothing by which it is known.
func machine() ([][]string, error) {
	cpu, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return nil, err
	}
	_, model, _ := strings.Cut(string(cpu), "model name")
	model, _, _ = strings.Cut(strings.TrimLeft(model, "\t :"), "\n")
	if model == "" {
		model = "not named"
	}
	memory, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return nil, err
	}
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return nil, err
	}
	release, _, _ := strings.Cut(unix.ByteSliceToString(kernel.Release[:]), "-")
	return [][]string{
		{"processor", fmt.Sprintf("%s, %d of them, %s", model, runtime.NumCPU(), runtime.GOARCH)},
		{"memory", fmt.Sprintf("%d GiB", (field(memory, "MemTotal:")+1<<19)>>20)},
		{"kernel", "Linux " + release},
		{"Go", strings.TrimPrefix(runtime.Version(), "go")},
	}, nil
}

// peerVersions are what the programs beside brs-exec say that they are.
func (b bench) peerVersions(ctx context.Context) string {
	var all []string
	for _, w := range b.peers {
		said, _ := exec.CommandContext(ctx, w.argv[0], "--version").CombinedOutput()
		all = append(all, w.name+" "+cmp.Or(versionNumber.FindString(string(said)), "of no version"))
	}
	for name, path := range map[string]string{"boto3-refresh-session": "boto3-refresh-session/boto3_refresh_session-*.dist-info", "aws-cli": "venv/lib/*/site-packages/awscli-*.dist-info"} {
		if found, _ := filepath.Glob(filepath.Join(clientsDir(), path)); len(found) > 0 {
			all = append(all, name+" "+versionNumber.FindString(filepath.Base(found[0])))
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

var versionNumber = regexp.MustCompile(`[0-9]+(\.[0-9]+)+`)

// Machine is a table.
func (p page) Machine() string { return markdown([]string{"machine", ""}, p.machine) }

// Aims are those of all tables.
func (p page) Aims() string {
	var rows [][]string
	for _, t := range p.tables {
		for _, a := range t.aims {
			rows = append(rows, []string{a.what, a.aim, a.now})
		}
	}
	return markdown([]string{"what", "aim", "now"}, rows)
}

// Table is one of them, with what its figures are.
func (p page) Table(name string) (string, error) {
	for _, t := range p.tables {
		if t.name == name {
			return strings.ToUpper(t.how[:1]) + t.how[1:] + ".\n\n" + markdown(t.head, t.rows), nil
		}
	}
	return "", fmt.Errorf("nothing was measured of %q", name)
}
