//go:build unix

package integration

import (
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// uploadSize is what each upload of TestSignServers has, or what a test by hand asks for. With
// BRS_EXEC_UPLOAD=5368709120 all tools that are installed are run, and servers that are not built for
// each run of the tests.
func uploadSize(t *testing.T) (size int64, byHand bool) {
	t.Helper()
	text := os.Getenv("BRS_EXEC_UPLOAD")
	if text == "" {
		return 20 << 20, false
	}
	size, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return size, true
}

// TestSignServers: servers of others, which check each signature, take what AWS's and others' clients
// upload under --deliver sign, while the credentials that it signs with expire.
func TestSignServers(t *testing.T) {
	slow(t)
	t.Parallel()
	size, byHand := uploadSize(t)
	type server struct {
		name  string
		start func(t *testing.T, w *world) (flags []string)
		lacks []string // tools that are of no use there, with or without brs-exec
		way   string
		most  int64 // bytes that it can store, 0 for any
	}
	servers := []server{
		{"radosgw", func(t *testing.T, w *world) []string {
			startGateway(t, w)
			return []string{"--role-arn", roleARN, "--duration", "16s"}
		}, []string{"minio-go-trailer"}, byEndpoint, 20 << 20}, // Ceph 16 knows no trailers, and this one is in memory
		{"versitygw", startVersity, nil, byEndpoint, 0},
		{"versitygw by HTTPS", startVersityTLS, []string{"java", "rclone"}, byProxy, 0}, // neither takes AWS_CA_BUNDLE
	}
	if _, err := exec.LookPath(filepath.Join(clientsDir(), "bin", "minio")); err == nil && byHand {
		servers = append(servers, server{"minio", startMinIO, nil, byEndpoint, 0})
	}
	for _, server := range servers {
		t.Run(server.name, func(t *testing.T) {
			if !byHand {
				t.Parallel()
			}
			size := size
			if server.most > 0 {
				size = min(size, server.most)
			}
			w := newWorld(t, 0)
			tools := slices.DeleteFunc(uploadTools(t, w, byHand), func(tool string) bool { return slices.Contains(server.lacks, tool) })
			flags := server.start(t, w)
			file := w.path("file")
			sparse(t, file, size)
			p := w.brsExec(append(append(flags, "--deliver", "sign", "--sign-via", server.way, "--log-level", "info", "--",
				"bash", source("uploads.sh"), file), tools...)...)
			most, within := int64(0), patience
			if byHand {
				within = 3 * time.Hour
			}
			eventually(t, within, "uploads by each tool over four refreshes", func() bool {
				most = max(most, peakMemory(p.cmd.Process.Pid))
				return len(p.stdout.lines()) >= len(tools) && refreshes(p) >= 4 || p.ended()
			})
			p.stdin.Close()
			if code := p.exitWithin(within); code != 0 {
				t.Errorf("exit code %d\n%s", code, p.stderr.String())
			}
			seen := map[string]bool{}
			for _, line := range p.stdout.lines() {
				f := strings.Fields(line)
				if len(f) != 3 || f[0] != "ok" || f[2] != fmt.Sprint(size) {
					t.Errorf("%.300s", line)
				}
				seen[f[1]] = true
			}
			for _, tool := range tools {
				if !seen[tool] {
					t.Errorf("nothing was uploaded by %s", tool)
				}
			}
			if refreshes(p) < 4 {
				t.Errorf("the credentials were refreshed %d times, want 4", refreshes(p))
			}
			t.Logf("%d uploads of %d bytes by %q, %d refreshes; brs-exec held %d KiB at most", len(p.stdout.lines()), size, tools, refreshes(p), most)
		})
	}
}

func refreshes(p *process) int { return strings.Count(p.stderr.String(), "credentials refreshed") }

// uploadTools are those that the tests install, and by hand all that are there.
func uploadTools(t *testing.T, w *world, all bool) []string {
	t.Helper()
	program(t, "aws")
	tools := []string{"aws", "boto3", "minio-go", "minio-go-trailer"}
	dirs := []string{filepath.Dir(program(t, "miniogo"))}
	if all {
		dirs = append(dirs, filepath.Join(clientsDir(), "matrix", "bin"))
		w.env["UPLOAD_JARS"] = filepath.Join(clientsDir(), "matrix", "s3a", "jars")
		if _, err := os.Stat(filepath.Join(dirs[1], "s5cmd")); err == nil {
			tools = append(tools, "s5cmd")
		}
		if _, err := exec.LookPath("rclone"); err == nil {
			tools = append(tools, "rclone")
		}
		if _, err := os.Stat(w.env["UPLOAD_JARS"]); err == nil {
			tools = append(tools, "java")
		}
	}
	w.env["PATH"] = strings.Join(append(dirs, w.env["PATH"]), ":")
	return tools
}

func sparse(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
}

// peakMemory is VmHWM of a process in KiB, 0 where /proc does not say.
func peakMemory(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, _ := strconv.ParseInt(strings.Fields(rest + " 0")[0], 10, 64)
	return kib
}

// daemon starts a server for the test, and waits until it listens.
func daemon(t *testing.T, env []string, address string, argv ...string) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var said output
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			lines := said.lines()
			t.Logf("%s printed\n%s", argv[0], strings.Join(lines[max(0, len(lines)-30):], "\n"))
		}
	})
	eventually(t, patience, argv[0]+" listens", func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// startVersity starts a Versity S3 Gateway. It has users alone, so that each refresh is another of
// them, and the one before the last is deleted then: its credentials have expired.
func startVersity(t *testing.T, w *world) []string {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", twoFreePorts(t))
	w.env["AWS_ENDPOINT_URL"] = "http://" + address
	return versity(t, w, address, "http://"+address)
}

// startVersityTLS has the gateway speak TLS under a name that the user's proxy knows.
func startVersityTLS(t *testing.T, w *world) []string {
	t.Helper()
	c := cloudIn(t, w)
	const host = "s3.example.test"
	certificate, err := c.authority.Certificate(host)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", twoFreePorts(t))
	c.proxy.route(host+":443", address)
	w.env["AWS_ENDPOINT_URL"] = "https://" + host
	flags := versity(t, w, address, "https://"+address,
		"--cert", w.write("cert.pem", pemText("CERTIFICATE", certificate.Certificate[0])), "--key", w.write("key.pem", pemText("PRIVATE KEY", key)))
	return append(flags, "--sign-host", host)
}

func versity(t *testing.T, w *world, address, url string, flags ...string) []string {
	t.Helper()
	gateway := program(t, "versitygw")
	for _, dir := range []string{"iam", "data"} {
		if err := os.Mkdir(w.path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	const root, secret = "AKIAROOT", "rootRootSecretOfTheGateway"
	argv := append([]string{gateway, "--port", address, "--quiet", "--iam-dir", w.path("iam"), "--iam-cache-disable"}, flags...)
	daemon(t, []string{"ROOT_ACCESS_KEY=" + root, "ROOT_SECRET_KEY=" + secret}, address, append(argv, "posix", w.path("data"))...)
	w.env["AWS_MAX_ATTEMPTS"] = "1"
	w.write("turn", "0")
	w.write("rotate.sh", fmt.Sprintf(`set -eu
		admin() { ADMIN_ACCESS_KEY=%[1]s ADMIN_SECRET_KEY=%[2]s ADMIN_ENDPOINT_URL=%[3]s %[4]s admin --allow-insecure "$@" >&2; }
		n=$(cat turn)
		n=$((n + 1))
		echo $n >turn
		admin create-user --access "AKIATURN$n" --secret "secretOfTurn$n" --role admin
		if [ $n -gt 2 ]; then admin delete-user --access "AKIATURN$((n - 2))"; fi
		printf '{"Version":1,"AccessKeyId":"AKIATURN%%s","SecretAccessKey":"secretOfTurn%%s","Expiration":"%%s"}' $n $n "$(date -u -d +16seconds +%%Y-%%m-%%dT%%H:%%M:%%SZ)"`,
		root, secret, url, gateway))
	return []string{"--credential-command", "sh " + w.path("rotate.sh")}
}

// startMinIO starts MinIO, whose sessions are valid for a quarter of an hour at least: they are said to
// end much earlier.
func startMinIO(t *testing.T, w *world) []string {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", twoFreePorts(t))
	const root, secret = "AKIAROOT", "rootRootSecretOfMinIO"
	daemon(t, []string{"MINIO_ROOT_USER=" + root, "MINIO_ROOT_PASSWORD=" + secret, "MINIO_BROWSER=off", "MINIO_UPDATE=off"}, address,
		program(t, "minio"), "server", "--address", address, w.path("data"))
	w.env["AWS_ENDPOINT_URL"] = "http://" + address
	w.env["AWS_MAX_ATTEMPTS"] = "1"
	w.write("session.py", fmt.Sprintf(`
import boto3, datetime, json
sts = boto3.client("sts", endpoint_url="http://%s", region_name="us-east-1", aws_access_key_id="%s", aws_secret_access_key="%s")
got = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/App", RoleSessionName="job", DurationSeconds=3600)["Credentials"]
got["Expiration"] = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=30)).strftime("%%Y-%%m-%%dT%%H:%%M:%%SZ")
print(json.dumps({"Version": 1, **got}))
`, address, root, secret))
	return []string{"--credential-command", program(t, "python") + " " + w.path("session.py")}
}
