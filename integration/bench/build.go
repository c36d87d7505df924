//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// programs are the paths of what is measured and measures.
type programs struct {
	brsExec, plain, floor string // the release build, that of go build, and the floor
	self                  string // this program
}

func programsIn(dir string) programs {
	return programs{
		brsExec: filepath.Join(dir, "brs-exec"),
		plain:   filepath.Join(dir, "brs-exec-plain"),
		floor:   filepath.Join(dir, "floor"),
		self:    filepath.Join(dir, "bench"),
	}
}

// releaseBuild is how releases are built (.goreleaser.yaml).
var releaseBuild = []string{"-trimpath", "-tags", "urfave_cli_no_docs,brs_fwdsig", "-ldflags", "-s -w -checklinkname=0"}

// build has all programs in dir.
func build(ctx context.Context, dir string) error {
	p := programsIn(dir)
	made := filepath.Join(dir, "made")
	for _, b := range []struct {
		path, pkg string
		flags     []string
	}{
		{p.brsExec, "brs-exec.example/brs-exec", releaseBuild},
		{p.plain, "brs-exec.example/brs-exec", nil},
		{p.floor, "brs-exec.example/brs-exec/integration/bench/floor", nil},
	} {
		args := append([]string{"build", "-o", made}, b.flags...)
		cmd := exec.CommandContext(ctx, "go", append(args, b.pkg)...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %q: %w\n%s", cmd.Args[1:], err, out)
		}
		if err := copyProgram(b.path, made); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return copyProgram(p.self, self)
}

// copyProgram writes a program from its first byte to its last, as cat(1) does. The page
// cache keeps a file in the pieces in which it was written, and small ones cost a page fault
// more each: what a linker has written starts up to 15 % slower.
func copyProgram(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	// Not by copy_file_range(2), which may share the pieces.
	if _, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 128<<10)); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
