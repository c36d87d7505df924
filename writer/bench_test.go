package writer

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/writer/rundir"
)

// Benchmarks of a run with so many profiles.
var benchProfiles = []int{1, 10, 100, 1000}

func forProfiles(b *testing.B, modes []Mode, f func(b *testing.B, p *Private, sets map[string]aws.Credentials)) {
	for _, mode := range modes {
		for _, n := range benchProfiles {
			b.Run(fmt.Sprintf("%s/%d", map[Mode]string{Auto: "auto", File: "file"}[mode], n), func(b *testing.B) {
				p, sets := manyProfiles(b, n, mode)
				b.ReportAllocs()
				f(b, p, sets)
			})
		}
	}
}

// BenchmarkRun is what a short run does: its directory, its files, its environment, and the end.
func BenchmarkRun(b *testing.B) {
	opt := Options{Executable: "/usr/bin/brs-exec", Dirs: []string{b.TempDir()}}
	sets, env := map[string]aws.Credentials{"": sized(1)}, os.Environ()
	b.ReportAllocs()
	for b.Loop() {
		p, err := NewPrivate(opt)
		if err == nil {
			_, err = p.Put("token", []byte("x"))
		}
		if err == nil {
			err = p.Deliver(context.Background(), sets)
		}
		if err == nil {
			p.Env(env)
			err = p.Close()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDeliverOne has other credentials for one that is not the default, if there are several.
func BenchmarkDeliverOne(b *testing.B) {
	forProfiles(b, []Mode{Auto, File}, func(b *testing.B, p *Private, sets map[string]aws.Credentials) {
		name := fmt.Sprintf("p%d", len(sets)-1)
		for i := 0; b.Loop(); i++ {
			if err := p.Deliver(context.Background(), map[string]aws.Credentials{name: sized(i)}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDeliverAll(b *testing.B) {
	forProfiles(b, []Mode{Auto, File}, func(b *testing.B, p *Private, sets map[string]aws.Credentials) {
		for i := 0; b.Loop(); i++ {
			for name := range sets {
				sets[name] = sized(i)
			}
			if err := p.Deliver(context.Background(), sets); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkLook is what a run does every 15 seconds.
func BenchmarkLook(b *testing.B) {
	forProfiles(b, []Mode{Auto}, func(b *testing.B, p *Private, _ map[string]aws.Credentials) {
		for b.Loop() {
			p.look()
		}
	})
}

func BenchmarkSetProfiles(b *testing.B) {
	forProfiles(b, []Mode{Auto, File}, func(b *testing.B, p *Private, _ map[string]aws.Credentials) {
		other := append(p.opt.Profiles[:len(p.opt.Profiles):len(p.opt.Profiles)], Profile{Name: "more"})
		for i := 0; b.Loop(); i++ {
			if err := p.SetProfiles([][]Profile{other, p.opt.Profiles}[i%2]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkMemory tells how much each profile takes, without its credentials themselves.
func BenchmarkMemory(b *testing.B) {
	for _, mode := range []Mode{Auto, File} {
		for _, n := range benchProfiles {
			b.Run(fmt.Sprintf("%s/%d", map[Mode]string{Auto: "auto", File: "file"}[mode], n), func(b *testing.B) {
				for b.Loop() {
					p, sets := manyProfiles(b, n, mode)
					for name := range sets {
						sets[name] = sized(1)
					}
					if err := p.Deliver(context.Background(), sets); err != nil {
						b.Fatal(err)
					}
					with := heap()
					p.Close()
					*p = Private{dir: &rundir.Dir{}, plan: &plan{}}
					b.ReportMetric(float64(with-heap())/float64(n), "B/profile")
					runtime.KeepAlive(sets)
				}
			})
		}
	}
}

// sized are credentials as long as those of STS, of which no two have the same.
func sized(i int) aws.Credentials {
	c := numbered(i)
	c.SessionToken = fmt.Sprintf("%0800d", i)
	return c
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
