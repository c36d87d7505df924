package source

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestPoolMemory: what a source costs among many, after it has been asked once. Not beside
// other tests, whose memory would count.
func TestPoolMemory(t *testing.T) {
	const most = 8 << 10
	conf, _ := isolate(t)
	text := strings.Builder{}
	fmt.Fprintf(&text, "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = %s\nregion = eu-west-1\n", baseSecret)
	for i := range 1000 {
		fmt.Fprintf(&text, "[profile p%d]\nrole_arn = arn:aws:iam::%012d:role/app\nsource_profile = base\nregion = eu-west-1\n", i, i)
	}
	write(t, conf, text.String())
	sts := newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	heap := func() int {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc + m.StackInuse)
	}
	kinds := map[string]func(i int) Spec{
		"profiles of the file": func(i int) Spec { return Spec{Profile: fmt.Sprint("p", i)} },
		"roles of a list": func(i int) Spec {
			return Spec{Profile: "base", Roles: []Role{{ARN: fmt.Sprintf("arn:aws:iam::%012d:role/app", i), SessionName: "job"}}}
		},
		"roles behind a first one": func(i int) Spec {
			return Spec{Profile: "base", Roles: []Role{{ARN: roleA, SessionName: "job"}, {ARN: fmt.Sprintf("arn:aws:iam::%012d:role/app", i), SessionName: "job"}}}
		},
	}
	for kind, spec := range kinds {
		mustRetrieve(t, mustNew(t, spec(0))) // what is loaded once
		sts.mu.Lock()
		sts.calls = nil
		sts.mu.Unlock()
		for _, n := range []int{1, 10, 100, 1000} {
			before := heap()
			p := NewPool()
			var all []*Source
			var stops []func()
			for i := range n {
				all = append(all, poolNew(t, p, spec(i))...)
			}
			for _, s := range all {
				stops = append(stops, s.Watch(func() {}))
			}
			atOnce(all, func(s *Source) { mustRetrieve(t, s) })
			sts.mu.Lock()
			sts.calls = nil
			sts.mu.Unlock()
			each := (heap() - before) / n
			t.Logf("%s: %d sources: %d bytes each", kind, n, each)
			if n == 1000 && each > most {
				t.Errorf("%s: %d bytes for each of 1,000 sources, more than %d", kind, each, most)
			}
			for _, stop := range stops {
				stop()
			}
			runtime.KeepAlive(p)
		}
	}
}
