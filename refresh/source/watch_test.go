package source

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/refresh"
)

var _ refresh.Watcher = (*Source)(nil)

// watching runs Watch until the test ends, and gives what it tells.
func watching(t *testing.T, s *Source) <-chan struct{} {
	t.Helper()
	told := make(chan struct{}, 1)
	t.Cleanup(s.Watch(func() {
		select {
		case told <- struct{}{}:
		default:
		}
	}))
	return told
}

// A change is told within a second, whichever way the file is replaced. Each step
// is on top of the ones before.
func TestWatchFile(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege")
	}
	isolate(t)
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	in := func(name ...string) string { return filepath.Join(append([]string{dir}, name...)...) }
	// As the kubelet lays out a secret; the user's path is one more link to it.
	must(os.MkdirAll(in("secret", "..1"), 0o700))
	must(os.Symlink("..1", in("secret", "..data")))
	must(os.Symlink(filepath.Join("..data", "credentials"), in("secret", "credentials")))
	must(os.Mkdir(in("home"), 0o700))
	must(os.Symlink(filepath.Join("..", "secret", "credentials"), in("home", "credentials")))
	told := watching(t, mustNew(t, Spec{File: in("home", "credentials"), limits: limits{noPoll: true}}))
	version := 1
	steps := []struct {
		name string
		do   func()
	}{
		{"appears", func() { write(t, in("secret", "..1", "credentials"), "1") }},
		{"written in place", func() { write(t, in("secret", "..1", "credentials"), "12") }},
		{"renamed over", func() {
			write(t, in("secret", "..1", "new"), "123")
			must(os.Rename(in("secret", "..1", "new"), in("secret", "..1", "credentials")))
		}},
		{"..data switched", func() { next(t, dir, &version) }},
		{"and again", func() { next(t, dir, &version) }},
		{"removed", func() { must(os.Remove(in("home", "credentials"))) }},
		{"a plain file", func() { write(t, in("home", "credentials"), "plain") }},
		{"mode mended", func() { must(os.Chmod(in("home", "credentials"), 0o400)) }},
	}
	for _, step := range steps {
		// The watcher may still be busy with the step before.
		settled := time.NewTimer(3 * debounce)
		for waiting := true; waiting; {
			select {
			case <-told:
			case <-settled.C:
				waiting = false
			}
		}
		step.do()
		select {
		case <-told:
		case <-time.After(patient):
			t.Fatalf("%s: not told", step.name)
		}
	}
}

// next does what the kubelet does: a new directory, and ..data renamed to it.
func next(t *testing.T, dir string, version *int) {
	t.Helper()
	*version++
	name := ".." + strings.Repeat("i", *version)
	secret := filepath.Join(dir, "secret")
	if err := errors.Join(
		os.Mkdir(filepath.Join(secret, name), 0o700),
		os.WriteFile(filepath.Join(secret, name, "credentials"), []byte(name), 0o600),
		os.Symlink(name, filepath.Join(secret, "..tmp")),
		os.Rename(filepath.Join(secret, "..tmp"), filepath.Join(secret, "..data")),
	); err != nil {
		t.Fatal(err)
	}
}

func TestWay(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	for link, target := range map[string]string{
		"a": "b", "b": in("c"), "up/x": "../../" + filepath.Base(dir) + "/c", "loop": "loop", "d": "up", "gone": "none/x",
	} {
		os.MkdirAll(filepath.Dir(in(link)), 0o700)
		if err := os.Symlink(target, in(link)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, in("c"), "")
	tests := []struct {
		path string
		want []string
	}{
		{"c", []string{"c"}},
		{"a", []string{"a", "b", "c"}},
		{"up/x", []string{"up/x", "c"}},
		{"d/x", []string{"d", "up/x", "c"}},
		{"none", []string{"none"}},
		{"none/deep", []string{"none"}},
		{"gone", []string{"gone", "none"}},
		{"c/under", []string{"c/under"}},
	}
	for _, tt := range tests {
		var want []string
		for _, w := range tt.want {
			want = append(want, in(w))
		}
		if diff := cmp.Diff(want, pathEntries(in(tt.path))); diff != "" {
			t.Errorf("way(%s) (-want +got):\n%s", tt.path, diff)
		}
	}
	if n := len(pathEntries(in("loop"))); n > 50 {
		t.Errorf("way(loop) has %d entries", n)
	}
}

// A login ends the wait of a job that cannot go on without it; while all is well,
// nothing in the configuration is worth a call.
func TestWatchLogin(t *testing.T) {
	t.Parallel()
	conf, _ := isolate(t)
	write(t, conf, "[profile app]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = r\nregion = eu-west-1\n[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = https://example.awsapps.com/start\n")
	home, err := envOf(t).home()
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(home, ".aws", "sso", "cache")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		src := mustNew(t, Spec{Profile: "app"})
		told := watching(t, src)
		expect := func(what string, within time.Duration, want bool) {
			t.Helper()
			time.Sleep(within)
			synctest.Wait()
			select {
			case <-told:
				if !want {
					t.Errorf("%s: told", what)
				}
			default:
				if want {
					t.Errorf("%s: not told within %s", what, within)
				}
			}
		}
		write(t, filepath.Join(cache, "a.json"), "{}")
		expect("a login while nothing fails", 2*idlePoll, false)
		_, err := src.Retrieve(t.Context())
		if e := failure(t, err); !strings.Contains(e.Hint, "aws sso login") {
			t.Fatalf("error %q, hint %q", e, e.Hint)
		}
		expect("nothing", time.Hour, false)
		write(t, filepath.Join(cache, "b.json"), "{}")
		expect("a login", retryPoll, true)
		write(t, conf, "[profile app]\n")
		expect("a change of the configuration", retryPoll, true)
	})
}

// A source that neither fails nor has its keys in a file sets no timer; one that has begins to when
// its configuration says so.
func TestWatchIdle(t *testing.T) {
	t.Parallel()
	conf, creds := isolate(t)
	write(t, creds, keysINI("default", "ASIA1", ""))
	role := "[default]\nregion = eu-west-1\nrole_arn = " + roleA + "\nsource_profile = default\n"
	write(t, conf, role)
	setenv(t, "AWS_ENDPOINT_URL=http://sts.test")
	synctest.Test(t, func(t *testing.T) {
		n := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.ParseForm()
			stsAnswer(w, r.Form.Get("Action"), time.Hour)
		}))
		src := mustNew(t, Spec{limits: limits{dial: n.dial}})
		told := watching(t, src)
		mustRetrieve(t, src)
		looks := func(d time.Duration) (n int) {
			for end := time.Now().Add(d); time.Now().Before(end); {
				write(t, creds, keysINI("default", "ASIA"+time.Now().Format("150405.000"), ""))
				time.Sleep(time.Minute)
				synctest.Wait()
				select {
				case <-told:
					n++
				default:
				}
			}
			return n
		}
		if n := looks(time.Hour); n != 0 {
			t.Errorf("told %d times of files that the next retrieval reads anyway", n)
		}
		write(t, conf, "[default]\nregion = eu-west-1\n")
		mustRetrieve(t, src)
		if n := looks(time.Hour); n != 60 {
			t.Errorf("told %d times in an hour of keys that were replaced each minute", n)
		}
	})
}

// Keys that stand in the file are taken from there as soon as they are replaced.
func TestWatchKeys(t *testing.T) {
	t.Parallel()
	_, creds := isolate(t)
	write(t, creds, keysINI("default", "ASIA1", ""))
	synctest.Test(t, func(t *testing.T) {
		d := engine(t, mustNew(t, Spec{}), nil)
		time.Sleep(time.Minute)
		write(t, creds, keysINI("default", "ASIA22", ""))
		time.Sleep(idlePoll + time.Second)
		synctest.Wait()
		if c, _ := d.get(); c.AccessKeyID != "ASIA22" {
			t.Errorf("holds %s half a minute after the keys were replaced", c.AccessKeyID)
		}
	})
}

// Relative paths are about where the source was made, wherever the process is.
func TestWatchRelative(t *testing.T) {
	isolate(t)
	dir := t.TempDir()
	t.Chdir(dir)
	src := mustNew(t, Spec{File: "credentials", limits: limits{noPoll: true}})
	t.Chdir(t.TempDir())
	told := watching(t, src)
	write(t, filepath.Join(dir, "credentials"), "x")
	select {
	case <-told:
	case <-time.After(patient):
		t.Error("not told")
	}
}

// Who else is busy in the file's directory does not wake anyone.
func TestWatchNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	if err := os.MkdirAll(in("..2026"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, in("..2026/creds"), "x")
	for link, to := range map[string]string{"..data": "..2026", "creds": "..data/creds"} {
		if err := os.Symlink(to, in(link)); err != nil {
			t.Skip(err)
		}
	}
	for path, counts := range map[string]map[string]bool{
		"creds":        {"creds": true, "..data": true, "..2026/creds": true, "": true, "other": false, "..2026/other": false, "creds.tmp": false},
		"none/of/this": {"none": true, "": true, "none2": false, "creds": false},
	} {
		n := newNotifier()
		if n.w == nil {
			t.Skip("no watches to be had")
		}
		n.rewatch([]string{in(path)})
		for name, want := range counts {
			if got := n.concerns(in(name)); got != want {
				t.Errorf("%s: an event of %q counts: %v, want %v", path, name, got, want)
			}
		}
		n.close()
	}
}

// What Watch looks at is not what a retrieval changes at the same time.
func TestWatchWhileDurationIsCut(t *testing.T) {
	t.Parallel()
	isolate(t)
	baseEnv(t)
	sts := newSTS(t)
	sts.answer = func(w http.ResponseWriter, c call) bool {
		return c.Get("DurationSeconds") != "3600" && refuse(w, 400, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	}
	setenv(t, "AWS_ENDPOINT_URL="+sts.URL)
	src := mustNew(t, Spec{Roles: []Role{{ARN: roleA, Duration: 2 * time.Hour}}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 1000 {
			src.fingerprint(&glance{})
		}
	}()
	mustRetrieve(t, src)
	<-done
}

func TestWatchNothing(t *testing.T) {
	t.Parallel()
	isolate(t)
	inTime(t, func() {
		mustNew(t, Spec{Command: []string{"true"}}).Watch(func() {})()
	})
}

// Many sources are looked after by one goroutine, and a file that they share is looked at once.
func TestWatchMany(t *testing.T) {
	t.Parallel()
	_, creds := isolate(t)
	write(t, creds, keysINI("default", "ASIA1", ""))
	synctest.Test(t, func(t *testing.T) {
		all := poolNew(t, NewPool(), make([]Spec, 100)...)
		before := runtime.NumGoroutine()
		told := make(chan int, 1000)
		var stops []func()
		for i, s := range all {
			stops = append(stops, s.Watch(func() { told <- i }))
		}
		synctest.Wait()
		t.Logf("%d goroutines more", runtime.NumGoroutine()-before) // of the whole process, other tests among them
		time.Sleep(time.Minute)
		write(t, creds, keysINI("default", "ASIA22", ""))
		time.Sleep(idlePoll)
		synctest.Wait()
		if len(told) != len(all) {
			t.Errorf("%d of %d were told", len(told), len(all))
		}
		for _, stop := range stops[1:] {
			stop()
		}
		write(t, creds, keysINI("default", "ASIA333", ""))
		time.Sleep(idlePoll)
		synctest.Wait()
		if len(told) != len(all)+1 {
			t.Errorf("%d were told after all but one had ended", len(told)-len(all))
		}
		stops[0]()
		stops = append(stops, all[0].Watch(func() { told <- 0 })) // begins anew
		stops[len(stops)-1]()
	})
}
