package rundir

import (
	"fmt"
	"testing"
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
