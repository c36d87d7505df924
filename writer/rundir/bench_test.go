package rundir

import (
	"fmt"
	"os"
	"testing"

	"brs-exec.example/brs-exec/writer/filelock"
)

// BenchmarkRun is what a short run does: makes its directory, fills it, and removes it.
func BenchmarkRun(b *testing.B) {
	dirs, text := []string{b.TempDir()}, make([]byte, 300)
	b.ReportAllocs()
	for b.Loop() {
		d, err := Make(dirs, func(d *Dir) error { return d.Put(ConfigFile, text) })
		for i := 0; i < 3 && err == nil; i++ {
			err = d.Put(fmt.Sprintf("file%d", i), text)
		}
		if err == nil {
			err = d.Remove()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSweep is where 1,000 runs live.
func BenchmarkSweep(b *testing.B) {
	in := b.TempDir()
	for i := range 1000 {
		h, err := hold(mkdir(b, fmt.Sprintf("%s/brs-exec-1-%016x", in, i)))
		if err != nil {
			b.Fatal(err)
		}
		defer h.close()
		lock, err := h.writeOpen(lockedFile, []byte(filelock.Me()+"\n"))
		if err == nil {
			err = filelock.Try(lock)
		}
		if err != nil {
			b.Fatal(err)
		}
		defer lock.Close()
	}
	b.ReportAllocs()
	for b.Loop() {
		Sweep([]string{in})
	}
}

func mkdir(b *testing.B, path string) string {
	b.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		b.Fatal(err)
	}
	return path
}
