//go:build linux

package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// agreement is a command line that is given to a run and to doctor.
type agreement struct {
	name    string
	flags   []string // DIR in them is the world's directory
	command []string // MARK if empty
	prepare func(w *world)
	code    int  // of the run; 0: it starts the command, whatever that says
	differs bool // doctor says it in other words
	starts  bool // the run starts all the same, and doctor says what goes wrong then
}

// agreements are those of badInputs, whose run refuses, and what only the machine can
// tell: files, ports, programs, locks.
func agreements() (list []agreement) {
	for _, b := range badInputs() {
		if i := slices.Index(b.args, "--"); i >= 0 && slices.Equal(b.args[i+1:], []string{mark}) && (i == 0 || strings.HasPrefix(b.args[0], "-")) {
			list = append(list, agreement{name: b.name, flags: b.args[:i], prepare: b.prepare, code: 125, differs: b.name == "no credentials" || strings.HasPrefix(b.name, "JSON")})
		}
	}
	role := func(flags ...string) []string { return append([]string{"--role-arn", roleARN}, flags...) }
	file := func(name, content string) func(*world) { return func(w *world) { w.write(name, content) } }
	mode := func(name string, perm os.FileMode) func(*world) {
		return func(w *world) {
			if err := os.Mkdir(w.path(name), 0o700); err != nil {
				w.t.Fatal(err)
			}
			if err := os.Chmod(w.path(name), perm); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	const longTerm = "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n"
	return append(list, []agreement{
		{name: "nothing wrong"},
		{name: "role", flags: role()},
		{name: "all that is seen", flags: role("--events", "DIR/events", "--metrics-file", "DIR/m.prom", "--listen", "unix:DIR/sock", "--lock", "DIR/lock", "--credentials-file", "DIR/c", "--on-refresh", "exec:true", "--share", "--share-dir", "DIR/share")},
		{name: "files that are there", flags: role("--events", "DIR/events", "--metrics-file", "DIR/m.prom", "--credentials-file", "DIR/c", "--credentials-file-profile", "app"), prepare: func(w *world) {
			w.write("events", "{}\n")
			w.write("m.prom", "# Written by brs-exec for node_exporter's textfile collector.\n")
			w.write("c", longTerm)
		}},

		{name: "credentials file in no directory", flags: role("--credentials-file", "/proc/x/y/c"), code: 125},
		{name: "credentials file below a file", flags: role("--credentials-file", "DIR/f/c"), prepare: file("f", ""), code: 125},
		{name: "credentials file in a directory still to be made", flags: role("--credentials-file", "DIR/a/c")},
		{name: "credentials file in two directories still to be made", flags: role("--credentials-file", "DIR/a/b/c"), code: 125},
		{name: "credentials file is a directory", flags: role("--credentials-file", "DIR/home"), code: 125},
		{name: "credentials file in a read-only directory", flags: role("--credentials-file", "DIR/ro/c"), prepare: mode("ro", 0o500), code: 125},
		{name: "credentials file below a read-only directory", flags: role("--credentials-file", "DIR/ro/d/c"), prepare: mode("ro", 0o500), code: 125},
		{name: "credentials file is a pipe", flags: role("--credentials-file", "/dev/null"), code: 125},
		{name: "credentials file that is none", flags: role("--credentials-file", "DIR/c"), prepare: file("c", "[default\nx"), code: 125},
		{name: "section of the source", flags: []string{"--profile", "base", "--credentials-file", "DIR/credentials", "--credentials-file-profile", "base"}, prepare: func(w *world) {
			w.write("credentials", strings.Replace(longTerm, "default", "base", 1))
		}, code: 125},
		{name: "keys that would be lost", flags: role("--credentials-file", "DIR/c", "--credentials-file-at-exit", "leave"), prepare: file("c", longTerm), code: 125},
		{name: "keys that would be removed", flags: role("--credentials-file", "DIR/c", "--credentials-file-at-exit", "remove"), prepare: file("c", longTerm), code: 125},
		{name: "keys that are put back", flags: role("--credentials-file", "DIR/c"), prepare: file("c", longTerm)},
		{name: "owner that may not be given", flags: role("--credentials-file", "DIR/c", "--file-owner", "1:1"), code: 125},

		{name: "held lock", flags: role("--lock", "DIR/lock"), prepare: holds("--lock", "DIR/lock"), code: 75},
		{name: "lock in no directory", flags: role("--lock", "DIR/no/lock"), code: 125},
		{name: "lock is a directory", flags: role("--lock", "DIR/home"), code: 125},
		{name: "lock in a read-only directory", flags: role("--lock", "DIR/ro/lock"), prepare: mode("ro", 0o500), code: 125},
		{name: "lock of no name", flags: role("--lock", ".."), code: 125},

		{name: "no such command", flags: role(), command: []string{"no-such-program-anywhere"}, code: 127},
		{name: "no such file", flags: role(), command: []string{"./nothing"}, code: 127},
		{name: "not executable", flags: role(), command: []string{"/etc/passwd"}, code: 126},
		{name: "command is a directory", flags: role(), command: []string{"/etc"}, code: 126},
		{name: "interpreter missing", flags: role(), command: []string{"./job"}, prepare: func(w *world) {
			w.write("job", "#!/no/such/interpreter\n")
			os.Chmod(w.path("job"), 0o755)
		}, code: 127},
		{name: "python script missing", flags: role(), command: []string{"python3", "nofile.py"}, starts: true},
		{name: "python script missing behind flags", flags: role(), command: []string{"python3", "-u", "-X", "dev", "nofile.py", "arg"}, starts: true},
		{name: "jar missing", flags: role(), command: []string{"java", "-Xmx64m", "-jar", "nofile.jar"}, starts: true},
		{name: "node script missing", flags: role(), command: []string{"node", "x.js"}, starts: true},
		{name: "bash script missing", flags: role(), command: []string{"bash", "-e", "x.sh"}, starts: true},
		{name: "sh script missing", flags: role(), command: []string{"sh", "x.sh"}, starts: true},
		{name: "perl script missing", flags: role(), command: []string{"perl", "-w", "x.pl"}, starts: true},
		{name: "ruby script missing", flags: role(), command: []string{"ruby", "x.rb"}, starts: true},
		{name: "php script missing", flags: role(), command: []string{"php", "x.php"}, starts: true},
		{name: "script missing behind env", flags: role(), command: []string{"env", "A=b", "nice", "python3", "nofile.py"}, starts: true},

		{name: "role of another service", flags: []string{"--role-arn", "arn:aws:s3::123456789012:role/App"}, prepare: ofAWS, code: 125},
		{name: "min TTL longer than a session is", flags: role("--min-ttl", "2h"), prepare: ofAWS, code: 125},

		{name: "events in no directory", flags: role("--events", "DIR/no/events"), code: 125},
		{name: "events are a directory", flags: role("--events", "DIR/home"), code: 125},
		{name: "events in a read-only directory", flags: role("--events", "DIR/ro/events"), prepare: mode("ro", 0o500), code: 125},
		{name: "events in a read-only file", flags: role("--events", "DIR/f"), prepare: func(w *world) {
			w.write("f", "")
			os.Chmod(w.path("f"), 0o400)
		}, code: 125},
		{name: "events to no descriptor", flags: role("--events", "fd:9"), code: 125},
		{name: "events to a descriptor that is read", flags: role("--events", "fd:0"), code: 125},
		{name: "events to standard error", flags: role("--events", "fd:2")},
		{name: "metrics in no directory", flags: role("--metrics-file", "DIR/no/m.prom"), code: 125},
		{name: "metrics over a file of another's", flags: role("--metrics-file", "DIR/m.prom"), prepare: file("m.prom", "x 1\n"), code: 125},
		{name: "metrics in a read-only directory", flags: role("--metrics-file", "DIR/ro/m.prom"), prepare: mode("ro", 0o500), code: 125},
		{name: "metrics of another name", flags: role("--metrics-file", "DIR/m"), code: 125},
		{name: "listen on all addresses", flags: role("--listen", "0.0.0.0:9090"), code: 125},
		{name: "listen on a port that is taken", flags: role("--listen", "127.0.0.1:PORT"), code: 125},
		{name: "listen on a socket that is a file", flags: role("--listen", "unix:DIR/f"), prepare: file("f", ""), code: 125},
		{name: "listen in no directory", flags: role("--listen", "unix:DIR/no/sock"), code: 125},
		{name: "listen in a read-only directory", flags: role("--listen", "unix:DIR/ro/sock"), prepare: mode("ro", 0o500), code: 125},
		{name: "listen where another listens", flags: role("--listen", "unix:DIR/sock"), prepare: func(w *world) {
			l, err := net.Listen("unix", w.path("sock"))
			if err != nil {
				w.t.Fatal(err)
			}
			w.t.Cleanup(func() { l.Close() })
		}, code: 125},
		{name: "share in a file", flags: role("--share", "--share-dir", "DIR/f"), prepare: file("f", ""), starts: true},
		{name: "share in no directory", flags: role("--share", "--share-dir", "DIR/no/share"), starts: true},
		{name: "share where others look", flags: role("--share", "--share-dir", "DIR/all"), prepare: mode("all", 0o755), starts: true},
		{name: "share in a read-only directory", flags: role("--share", "--share-dir", "DIR/ro/share"), prepare: mode("ro", 0o500), starts: true},

		{name: "hook missing", flags: role("--on-refresh", "exec:no-such-hook"), code: 125},
		{name: "hook of a source missing", flags: role("--on-source-ending", "exec:./no-such-hook"), code: 125},
		{name: "hook not executable", flags: role("--on-refresh", "exec:/etc/passwd"), code: 125},
		{name: "notify child without systemd", flags: role("--notify-child")},
		{name: "signal zero", flags: role("--stop-signal", "0"), code: 125},
		{name: "signal that kills brs-exec's own", flags: role("--pdeathsig", "FROB"), code: 125},
		{name: "restarts without a restart", flags: role("--restart-max", "3"), code: 125},
		{name: "owner by name", flags: role("--credentials-file", "DIR/c", "--file-owner", "root"), code: 125},
		{name: "mode that nobody can write", flags: role("--credentials-file", "DIR/c", "--file-mode", "0400"), code: 125},
		{name: "variables without a restart", flags: role("--deliver", "env"), code: 125},
		{name: "signatures", flags: role("--deliver", "sign", "--sign-only", "sts,s3@eu-west-1", "--sign-host", "minio.internal:9000", "--sign-via", "proxy")},
		{name: "signatures by an endpoint and FIPS", flags: role("--deliver", "sign", "--sign-via", "endpoint"), prepare: func(w *world) { w.env["AWS_USE_FIPS_ENDPOINT"] = "true" }, code: 125},
		{name: "signatures for a server that is none", flags: role("--deliver", "sign"), prepare: func(w *world) { w.env["AWS_ENDPOINT_URL_S3"] = "localhost:9000" }, code: 125},
		{name: "signatures and a bundle without certificates", flags: role("--deliver", "sign"), prepare: func(w *world) { w.env["CURL_CA_BUNDLE"] = w.write("ca.pem", "none\n") }, code: 125},
		{name: "signatures and a bundle that is missing", flags: role("--deliver", "sign"), prepare: func(w *world) { w.env["SSL_CERT_FILE"] = w.path("ca.pem") }, code: 125},
		{name: "certificate missing", flags: []string{"--iot-endpoint", "127.0.0.1:1", "--iot-role-alias", "app", "--certificate", "no.crt", "--private-key", "no.key"}, code: 125},
		{name: "token file missing", flags: role("--web-identity-token-file", "DIR/token"), differs: true, code: 125},
		{name: "credentials of a file missing", flags: []string{"--from-file", "DIR/none", "--start-timeout", "1s"}, differs: true, code: 125},
		{name: "AWS configuration that is none", prepare: file("config", "[default\nx"), code: 125},
		{name: "CA bundle missing", flags: role(), prepare: func(w *world) { w.env["AWS_CA_BUNDLE"] = w.path("no.pem") }, code: 125},
		{name: "run directory nowhere", flags: role(), prepare: func(w *world) { w.env["TMPDIR"] = "/proc" }},
	}...)
}

// holds has a run hold something until the test has ended.
func holds(flags ...string) func(*world) {
	return func(w *world) {
		p := w.brsExec(append(w.filled(flags), "--", "sh", "-c", "echo held; read line")...)
		eventually(w.t, patience, "another run begins", func() bool { return strings.Contains(p.stdout.String(), "held") })
		eventually(w.t, patience, "its run directory is complete", func() bool {
			sockets, _ := filepath.Glob(filepath.Join(w.run, fmt.Sprintf("brs-exec-%d-*", p.cmd.Process.Pid), "control"))
			return len(sockets) == 1
		})
		w.t.Cleanup(func() { p.stdin.Close(); p.exit() })
		w.leaves = true // its run directory is there until then
	}
}

var number = regexp.MustCompile(`process \d+`)

// filled puts in what only the world knows.
func (w *world) filled(args []string) (list []string) {
	for _, a := range args {
		if strings.Contains(a, "PORT") {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				w.t.Fatal(err)
			}
			w.t.Cleanup(func() { l.Close() })
			a = strings.ReplaceAll(a, "PORT", fmt.Sprint(l.Addr().(*net.TCPAddr).Port))
		}
		list = append(list, strings.ReplaceAll(a, "DIR", w.dir))
	}
	return list
}

// TestDoctorAgrees: what a run refuses before it asks the source, doctor calls a problem;
// what the source refuses, doctor --ask does; and what doctor finds nothing wrong with, starts. Doctor
// changes nothing.
func TestDoctorAgrees(t *testing.T) {
	t.Parallel()
	for _, a := range agreements() {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			run := newAgreement(t, a)
			p := run.brsExec(run.line(a)...)
			code := p.exit()
			_, err := os.Stat(run.path("started"))
			started := err == nil || code != 75 && code < 125
			asked := len(run.server.Calls()) > 0 || strings.HasPrefix(a.name, "STS") || slices.Contains(a.flags, "--credential-command")
			if a.starts {
				if !started {
					t.Errorf("the run did not start; exit code %d\n%s", code, p.stderr.String())
				}
			} else if started != (a.code == 0) || !started && code != a.code {
				t.Errorf("run: exit code %d, started %v, want code %d\n%s", code, started, a.code, p.stderr.String())
			}
			if !started {
				run.checkComplaint(p)
			}
			says, said := diagnosis(t, a)
			if says == 0 && asked && !started {
				says, said = diagnosis(t, a, "--ask")
			}
			reason, _, _ := strings.Cut(strings.TrimPrefix(number.ReplaceAllString(run.plain(p.stderr.String()), "process $$PID"), "brs-exec: error: "), "\n")
			reason = strings.TrimPrefix(reason, "lock ")
			if flag, text, of := strings.Cut(reason, " "); of && strings.HasPrefix(flag, "--") {
				reason = text
			}
			switch {
			case !started && !asked && !a.differs && !strings.Contains(said, reason):
				t.Errorf("doctor does not say what a run says, %q:\n%s", reason, said)
			case !started && says == 0:
				t.Errorf("doctor finds nothing wrong with what a run refuses (%d: %s):\n%s", code, p.stderr.String(), said)
			case a.starts && says != 1:
				t.Errorf("doctor: exit code %d of what is going to fail:\n%s", says, said)
			case started && !a.starts && says != 0:
				t.Errorf("doctor: exit code %d of what a run starts:\n%s", says, said)
			}
		})
	}
}

// newAgreement is a world of a user whom modes keep out.
func newAgreement(t *testing.T, a agreement) (w *world) {
	life := time.Hour
	if strings.Contains(a.name, "live too short") {
		life = time.Minute
	}
	if os.Getuid() != 0 {
		w = newWorld(t, life)
	} else {
		w = newNeighbour(t, "alice").world(life)
		w.env["XDG_RUNTIME_DIR"], w.env["TMPDIR"] = w.run, w.path("tmp")
	}
	if err := os.Mkdir(w.path("bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"python3", "java", "node", "perl", "ruby", "php"} { // doctor goes by the name
		if err := os.Symlink("/bin/false", w.path("bin/"+name)); err != nil {
			t.Fatal(err)
		}
	}
	w.env["PATH"] = w.path("bin") + ":" + w.env["PATH"]
	if a.prepare != nil {
		a.prepare(w)
	}
	if n, ok := w.user.(*neighbour); ok {
		n.own()
	}
	return w
}

func (w *world) line(a agreement) []string {
	command := a.command
	if command == nil {
		command = []string{mark}
	}
	return append(w.filled(a.flags), append([]string{"--"}, w.withMark(command)...)...)
}

// diagnosis is what doctor says, and its exit code.
func diagnosis(t *testing.T, a agreement, more ...string) (code int, said string) {
	w := newAgreement(t, a)
	line := w.line(a)
	before := w.tree(w.dir)
	p := w.brsExec(slices.Concat([]string{"doctor"}, more, line)...)
	code = p.exit()
	said = number.ReplaceAllString(w.plain(p.stdout.String()+p.stderr.String()), "process $$PID")
	if code != 0 && code != 1 && code != 125 {
		t.Errorf("doctor: exit code %d\n%s", code, said)
	}
	if (code == 1) != strings.Contains(said, "problem ") {
		t.Errorf("doctor: exit code %d, and says\n%s", code, said)
	}
	if after := w.tree(w.dir); !sameFiles(before, after) {
		t.Errorf("doctor has changed the files from\n%q\nto\n%q", before, after)
	}
	if len(more) == 0 && len(w.server.Calls()) > 0 {
		t.Errorf("doctor has asked the source")
	}
	return code, said
}

// TestExportedSession: keys of a session that somebody has exported are said to expire, once, at
// the start, and by doctor in the same words.
func TestExportedSession(t *testing.T) {
	t.Parallel()
	const because = "the keys in the environment belong to a session: when it expires, "
	for _, tt := range []struct {
		name  string
		flags []string
		want  string
	}{
		{"alone", nil, because + "there are no newer ones"},
		{"with a role", []string{"--role-arn", roleARN}, because + "the role cannot be assumed again"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, time.Hour)
			inside := func(args ...string) *process { // what another brs-exec has exported
				outer := []string{"--role-arn", roleARN, "--deliver", "env", "--on-refresh", "restart", "--", brsExec(t)}
				p := w.brsExec(append(outer, args...)...)
				p.exit()
				return p
			}
			p := inside(append(tt.flags, "--", "true")...)
			if said := p.stderr.lines(); len(said) != 1 || !strings.Contains(said[0], "level=WARN") || !strings.Contains(said[0], tt.want+"; use ") {
				t.Errorf("a run says\n%swant one warning with %q", p.stderr.String(), tt.want)
			}
			p = inside(slices.Concat([]string{"doctor"}, tt.flags, []string{"--", "true"})...)
			if said := p.stdout.String(); !strings.Contains(said, "problem  source: "+tt.want) {
				t.Errorf("doctor says\n%swant %q", said, tt.want)
			}
		})
	}
}
