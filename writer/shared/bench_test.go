package shared

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// BenchmarkFile is what a file of many sections costs: to open and close it, to write
// the credentials of one section, and to look whether all are there after an event.
func BenchmarkFile(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		dir := b.TempDir()
		path := filepath.Join(dir, "credentials")
		sections, all := map[string]string{}, map[string]aws.Credentials{}
		var text strings.Builder
		for i := range n {
			name := fmt.Sprintf("p%d", i)
			sections[name], all[name] = name, numbered(i)
			fmt.Fprintf(&text, "[%s]\nregion = x\n%s\n", name, oldKeys)
		}
		put(b, path, text.String(), 0o600)
		open := func() *File {
			s, err := Open(context.Background(), Options{Path: path, Sections: sections, AtExit: Restore, settle: time.Second})
			if err != nil {
				b.Fatal(err)
			}
			return s
		}
		deliver := func(s *File, sets map[string]aws.Credentials) {
			if err := s.Deliver(context.Background(), sets); err != nil {
				b.Fatal(err)
			}
		}
		shut := func(s *File) {
			if err := s.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(fmt.Sprint("open/", n), func(b *testing.B) {
			for b.Loop() {
				s := open()
				b.StopTimer()
				shut(s)
				b.StartTimer()
			}
		})
		b.Run(fmt.Sprint("close/", n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				s := open()
				deliver(s, all)
				b.StartTimer()
				shut(s)
			}
		})
		s := open()
		deliver(s, all)
		b.Run(fmt.Sprint("deliver one/", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				deliver(s, map[string]aws.Credentials{"p0": numbered(n + i)})
			}
		})
		b.Run(fmt.Sprint("deliver all/", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				for name := range all {
					all[name] = numbered(n + i)
				}
				deliver(s, all)
			}
		})
		b.Run(fmt.Sprint("one more, one less/", n), func(b *testing.B) {
			for b.Loop() {
				more := maps.Clone(sections)
				more["more"] = "more"
				for _, list := range []map[string]string{more, sections} {
					if err := s.SetSections(context.Background(), list, nil); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
		b.Run(fmt.Sprint("look/", n), func(b *testing.B) {
			for b.Loop() {
				if intact, err := s.intact(); !intact || err != nil {
					b.Fatal(intact, err)
				}
			}
		})
		b.Run(fmt.Sprint("look after another's change/", n), func(b *testing.B) {
			for b.Loop() {
				s.known = false
				if intact, err := s.intact(); !intact || err != nil {
					b.Fatal(intact, err)
				}
			}
		})
		shut(s)
	}
}

// BenchmarkMemory tells how much each section takes, without its credentials themselves.
func BenchmarkMemory(b *testing.B) {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				path := filepath.Join(b.TempDir(), "credentials")
				sections, all := map[string]string{}, map[string]aws.Credentials{}
				for i := range n {
					name := fmt.Sprintf("%012d-eu-west-1-ReadOnly", i)
					sections[name], all[name] = name, numbered(i)
				}
				before := heap()
				s, err := Open(context.Background(), Options{Path: path, Sections: sections, AtExit: Restore})
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Deliver(context.Background(), all); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(heap()-before)/float64(n), "B/section")
				runtime.KeepAlive(all)
				if err := s.Close(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
