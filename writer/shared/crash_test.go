package shared

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"brs-exec.example/brs-exec/writer/ini"
)

const userSection = "[user]\n# mine\nregion = x\n"

// longTests tells whether the tests that race against others are to take their
// time: thousands of rewrites instead of some hundreds.
func longTests() bool { return os.Getenv("BRS_WRITER_TEST_LONG") != "" }

// checkShared tells what is wrong with the file as a reader finds it.
func checkShared(data []byte, sections ...string) error {
	f, err := ini.Parse("credentials", data)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(data), userSection) {
		return fmt.Errorf("the user's section is not whole in %d bytes", len(data))
	}
	for _, section := range sections {
		var parts [3]string
		for i := range parts {
			parts[i], _ = f.Value(section, ini.Keys[i])
		}
		if _, ok := setNumber(parts); !ok {
			return fmt.Errorf("[%s] is torn or mixed", section)
		}
	}
	return nil
}

// readers read the file in several goroutines, and in a process with botocore
// where there is one, until stop is called. That returns the number of reads.
func readers(t *testing.T, path string, sections ...string) (stop func() int) {
	t.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	var reads [3]int
	for i := range reads {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				data, err := os.ReadFile(path)
				if err == nil {
					err = checkShared(data, sections...)
				}
				if err != nil {
					t.Errorf("read %d: %v", reads[i], err)
					return
				}
				reads[i]++
			}
		})
	}
	end := sync.OnceFunc(func() { close(done); wg.Wait() })
	t.Cleanup(end) // of a test that ends early
	stopBotocore := botocoreReader(t, path, sections...)
	return func() int {
		end()
		n := reads[0] + reads[1] + reads[2]
		if n == 0 {
			t.Error("nothing was read")
		}
		return n + stopBotocore()
	}
}

const botocoreReaderScript = `
import sys, threading
from botocore.configloader import raw_config_parse
done = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
print("started", flush=True)
count = 0
while not done.is_set():
    config = raw_config_parse(sys.argv[1])
    if config.get("user") != {"region": "x"}:
        sys.exit("the user's section: %r" % config.get("user"))
    for section in sys.argv[2:]:
        got = config[section]
        n = got["aws_access_key_id"].removeprefix("AKID")
        if got != {"aws_access_key_id": "AKID" + n, "aws_secret_access_key": "SECRET" + n, "aws_session_token": "TOKEN" + n}:
            sys.exit("[%s] is torn or mixed: %r" % (section, got))
    count += 1
print(count, flush=True)
`

func botocoreReader(t *testing.T, path string, sections ...string) (stop func() int) {
	t.Helper()
	python, why := findBotocore()
	if why != "" {
		t.Run("botocore", func(t *testing.T) { t.Skip(why) })
		return func() int { return 0 }
	}
	cmd := exec.Command(python, append([]string{"-c", botocoreReaderScript, path}, sections...)...)
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err1 != nil || err2 != nil || cmd.Start() != nil {
		t.Fatal("cannot start python3: ", err1, err2)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	out := bufio.NewReader(stdout)
	if line, err := out.ReadString('\n'); line != "started\n" {
		t.Fatalf("botocore: %q, %v\n%s", line, err, &stderr)
	}
	return func() int {
		stdin.Close()
		line, _ := io.ReadAll(out)
		var n int
		fmt.Sscan(string(line), &n)
		if err := cmd.Wait(); err != nil || n == 0 {
			t.Errorf("botocore: %d reads, %v\n%s", n, err, &stderr)
		}
		return n
	}
}

// Two processes keep a section each of one file, and readers and a third
// program that writes another section see no torn, empty or mixed file.
func TestSharedProcesses(t *testing.T) {
	budget := 5 * time.Second
	if longTests() {
		budget = 40 * time.Second
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	put(t, path, userSection, 0o600)
	type process struct {
		stdin io.Closer
		cmd   *exec.Cmd
	}
	var processes []process
	for _, section := range []string{"a", "b"} {
		cmd, stdin, said := startHelper(t, "shared", path, section, "1", "1000000")
		if said != "kept" {
			t.Fatalf("[%s]: %q", section, said)
		}
		processes = append(processes, process{stdin, cmd})
	}
	stop := readers(t, path, "a", "b")
	var s *File
	if err := patiently(func() (err error) {
		s, err = newShared(t, path, "c", Options{AtExit: Remove, settle: time.Second})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	start, _ := current(t, path)
	own := 0
	for until := time.Now().Add(budget); time.Now().Before(until); own++ {
		if err := patiently(func() error { return give(s, numbered(own)) }); err != nil {
			t.Fatal(err)
		}
	}
	end, _ := current(t, path)
	if end == start || own == 0 {
		t.Errorf("[a] and [b] were rewritten %d times, [c] %d times", end-start, own)
	}
	reads := stop()
	for _, p := range processes {
		p.stdin.Close()
		if err := p.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, map[string]string{"credentials": userSection})
	t.Logf("%d rewrites, %d reads", end+own, reads)
}

// current returns how many credentials [a] and [b] had together.
func current(t *testing.T, path string) (n int, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return 0, err
	}
	f := ini.Read(data)
	for _, section := range []string{"a", "b"} {
		var i int
		id, _ := f.Value(section, ini.Keys[0])
		fmt.Sscanf(id, "AKID%d", &i)
		n += i
	}
	return n, nil
}

// Killed at any moment of thousands of rewrites, it leaves the old credentials or the
// new one; the next start takes the strays away and puts back what was there.
func TestSharedKilled(t *testing.T) {
	const section = "[app]\naws_access_key_id = AKID0\naws_secret_access_key = SECRET0\naws_session_token=TOKEN0"
	t.Run("one section", func(t *testing.T) { killed(t, userSection+section) })
	t.Run("sections that come and go", func(t *testing.T) {
		killed(t, userSection+section+"\n[b]\n"+oldKeys+"# the end", "b,c")
	})
}

func killed(t *testing.T, original string, more ...string) {
	kills := 20
	if longTests() {
		kills = 300
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "credentials")
	put(t, path, original, 0o600)
	stop := readers(t, path, "app")
	rewrites := 0
	for i := range kills {
		cmd, _, said := startHelper(t, "shared", append([]string{path, "app", "2", "1000000"}, more...)...)
		if said != "kept" {
			t.Fatalf("start %d: %q", i, said)
		}
		timer := time.NewTimer(time.Duration(20+i*i%37) * time.Millisecond)
		<-timer.C
		cmd.Process.Kill()
		cmd.Wait()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		id, _ := ini.Read(data).Value("app", ini.Keys[0])
		fmt.Sscanf(id, "AKID%d", &n)
		rewrites += n
	}
	reads := stop()
	s := mustShared(t, path, "", Options{Sections: sectionsOf(strings.Join(append(more, "app"), ",")), AtExit: Restore})
	if err := giveAll(s, 1); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(names) != 1 || !strings.Contains(names[0], "-claim-") {
		t.Errorf("beside the file there are %q, %v, want our claim", names, err)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	holds(t, dir, map[string]string{"credentials": original})
	t.Logf("%d kills, %d rewrites, %d reads", kills, rewrites, reads)
}
