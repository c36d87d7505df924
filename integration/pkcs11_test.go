//go:build unix

package integration

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	tokenPIN = "473921"
	wrongPIN = "860415"
	soPIN    = "12345678"
)

// softHSM is a world's own tokens, with a spy in front that writes down each call.
type softHSM struct {
	w      *world
	module string
	spy    string
}

// newSoftHSM has one token, "dev".
func newSoftHSM(t *testing.T, w *world) *softHSM {
	t.Helper()
	program(t, "softhsm2-util")
	program(t, "gcc")
	h := &softHSM{w: w}
	h.module = library(t, "softhsm2", "softhsm/libsofthsm2.so")
	h.spy = library(t, "opensc-pkcs11", "pkcs11-spy.so")
	if err := os.Mkdir(w.path("tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.env["SOFTHSM2_CONF"] = w.write("softhsm2.conf", "directories.tokendir = "+w.path("tokens")+"\nobjectstore.backend = file\nlog.level = ERROR\n")
	w.env["PKCS11SPY"], w.env["PKCS11SPY_OUTPUT"] = h.module, w.path("spy.log")
	w.write("pin", tokenPIN+"\n")
	h.util("--init-token", "--free", "--label", "dev", "--so-pin", soPIN, "--pin", tokenPIN)
	return h
}

// library finds one below the places where distributions put them.
func library(t *testing.T, pkg, name string) string {
	t.Helper()
	for _, pattern := range []string{"/usr/lib/*-linux-gnu*/", "/usr/lib/", "/usr/lib64/", "/usr/local/lib/", "/opt/homebrew/lib/"} {
		if found, _ := filepath.Glob(pattern + name); len(found) > 0 {
			return found[0]
		}
	}
	missing(t, pkg)
	return ""
}

func (h *softHSM) util(args ...string) {
	h.w.t.Helper()
	cmd := exec.Command("softhsm2-util", args...)
	cmd.Env = h.w.environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		h.w.t.Fatalf("softhsm2-util %q: %v\n%s", args, err, out)
	}
}

// put imports a private key into a token.
func (h *softHSM) put(token, label, id string, key crypto.Signer) {
	h.w.t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		h.w.t.Fatal(err)
	}
	file := h.w.write("import.pem", pemText("PRIVATE KEY", der))
	h.util("--import", file, "--token", token, "--label", label, "--id", id, "--pin", tokenPIN, "--force")
	os.Remove(file)
}

// uri names a key of the module under the spy.
func (h *softHSM) uri(key string) string {
	return "pkcs11:" + key + "?module-path=" + h.spy + "&pin-source=file:" + h.w.path("pin")
}

// calls counts how often brs-exec called a function of the module.
func (h *softHSM) calls(function string) int {
	return strings.Count(h.w.read("spy.log"), ": "+function+"\n")
}

func newECKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSAKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// brsExecPKCS11 starts the build that has PKCS#11.
func (w *world) brsExecPKCS11(args ...string) *process {
	w.t.Helper()
	path, err := buildPKCS11()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.start(path, args...)
}

// checkNoPIN looks for the PINs wherever others may see them.
func (w *world) checkNoPIN(p *process) {
	w.t.Helper()
	for _, pin := range []string{tokenPIN, wrongPIN} {
		if strings.Contains(p.stdout.String()+p.stderr.String(), pin) {
			w.t.Errorf("the PIN was printed:\n%s", p.stderr.String())
		}
		argv, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.cmd.Process.Pid))
		if err == nil && strings.Contains(string(argv), pin) {
			w.t.Errorf("the arguments hold the PIN: %q", argv)
		}
	}
}

// serving starts a source that goes by certificates: the flags for one, and how
// many sets of credentials it gave.
type serving func(*testing.T, *world, *certifier) (flags func(cert, key string) []string, sets func() int)

// heldLife is long, because the machine may be busy.
const heldLife = 16 * time.Second

func serveIoT(protocols string) serving {
	return func(t *testing.T, w *world, ca *certifier) (func(cert, key string) []string, func() int) {
		address := startNginxWith(t, w, ca, protocols)
		serveSessions(t, w, heldLife, time.Second)
		return func(cert, key string) []string { return iotFlagsFor(w, address, cert, key) },
			func() int { return strings.Count(w.read("nginx-access.log"), "CN=device 200 ") }
	}
}

func serveAnywhere(t *testing.T, w *world, ca *certifier) (func(cert, key string) []string, func() int) {
	a := startAnywhere(t, w, ca, heldLife)
	return a.flags, func() int { return len(a.gave()) }
}

// awaitOutlived waits for what checkOutlived wants.
func (w *world) awaitOutlived(p *process) {
	w.t.Helper()
	eventually(w.t, patience, "four sets of credentials in use, and three expired", func() bool {
		used, ended := w.usedSets()
		return len(used) >= 4 && ended >= 3 || p.ended()
	})
}

// TestPKCS11: a command outlives its sessions, which are had with a key that never
// leaves its token; there is one login for all of them.
func TestPKCS11(t *testing.T) {
	slow(t)
	t.Parallel()
	for _, tt := range []struct {
		name  string
		key   func(*testing.T) crypto.Signer
		serve serving
	}{
		{"EC by TLS 1.3", newECKey, serveIoT("TLSv1.3")},
		{"RSA by TLS 1.3", newRSAKey, serveIoT("TLSv1.3")}, // PSS
		{"EC by TLS 1.2", newECKey, serveIoT("TLSv1.2")},
		{"RSA by TLS 1.2", newRSAKey, serveIoT("TLSv1.2")},
		{"EC for Roles Anywhere", newECKey, serveAnywhere},
		{"RSA for Roles Anywhere", newRSAKey, serveAnywhere}, // PKCS #1 v1.5
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			h := newSoftHSM(t, w)
			ca := newCertifier(t)
			key := tt.key(t)
			h.put("dev", "machine", "01", key)
			flags, sets := tt.serve(t, w, ca)
			client := goClient(t)
			p := w.brsExecPKCS11(append(flags(ca.certify(w, "device", "device", key.Public()), h.uri("token=dev;object=machine")),
				"--log-level", "debug", "--", client)...)
			w.awaitOutlived(p)
			if n := sets(); n < 4 {
				t.Errorf("%d sets of credentials were given", n)
			}
			w.checkNoPIN(p)
			p.stdin.Close()
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			w.checkNoPIN(p)
			checkOutlived(t, w, p)
			if n := h.calls("C_Login"); n != 1 {
				t.Errorf("logged in %d times, want once", n)
			}
		})
	}
}

// TestPKCS11LeavesNoTrace: the command gets neither the PIN nor what the module
// has open.
func TestPKCS11LeavesNoTrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	h := newSoftHSM(t, w)
	ca := newCertifier(t)
	key := newECKey(t)
	h.put("dev", "machine", "01", key)
	a := startAnywhere(t, w, ca, time.Hour)
	p := w.brsExecPKCS11(append(a.flags(ca.certify(w, "device", "device", key.Public()), h.uri("token=dev")+"&"), "--", "true")...)
	if code := p.exit(); code != 125 || !strings.Contains(p.stderr.String(), "names no key") {
		t.Errorf("exit code %d, want 125 for a URI without a key:\n%s", code, p.stderr.String())
	}
	p = w.brsExecPKCS11(append(a.flags(ca.certify(w, "device", "device", key.Public()), h.uri("token=dev;id=%01")), "--log-level", "debug", "--",
		"sh", "-c", "env; cat /proc/$$/cmdline /proc/$PPID/cmdline /proc/$PPID/environ; ls -l /proc/self/fd; true")...)
	w.reveals = true // the token of the endpoint
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	w.checkNoPIN(p)
	for _, line := range p.stdout.lines() {
		if strings.Contains(line, "->") && strings.Contains(line, w.dir) {
			t.Errorf("the command has a file of brs-exec's open: %s", line)
		}
	}
}

// TestPKCS11Refused: what is wrong is said before anything starts, and a PIN is
// tried once at most.
func TestPKCS11Refused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	h := newSoftHSM(t, w)
	ca := newCertifier(t)
	a := startAnywhere(t, w, ca, time.Hour)
	key, rsaKey := newECKey(t), newRSAKey(t)
	h.put("dev", "machine", "01", key)
	h.put("dev", "machine", "02", rsaKey)
	h.put("dev", "other", "03", newECKey(t))
	h.util("--init-token", "--free", "--label", "twin", "--so-pin", soPIN, "--pin", tokenPIN)
	h.util("--init-token", "--free", "--label", "twin", "--so-pin", soPIN, "--pin", tokenPIN)
	cert := ca.certify(w, "device", "device", key.Public())
	w.write("badpin", wrongPIN+"\n")
	w.write("openpin", tokenPIN)
	if err := os.Chmod(w.path("openpin"), 0o644); err != nil {
		t.Fatal(err)
	}
	good := h.uri("token=dev;id=%01")
	pin := func(file string) string { return strings.Replace(good, w.path("pin"), w.path(file), 1) }
	for _, tt := range []struct {
		name, key string
		more      []string
		want      []string // of standard error
		logins    int
	}{
		{"wrong PIN", pin("badpin"), nil, []string{`the PIN was refused by token "dev" (CKR_PIN_INCORRECT)`, "not tried again"}, 1},
		{"no PIN", "pkcs11:token=dev;id=%01?module-path=" + h.spy, nil, []string{"asks for a PIN", "pin-source=file:/"}, 0},
		{"PIN file missing", pin("gone"), nil, []string{"PIN file " + w.path("gone") + ": no such file"}, 0},
		{"PIN file open to others", pin("openpin"), nil, []string{"others may read it (mode 0644)", "chmod 600"}, 0},
		{"PIN in the URI", "pkcs11:token=dev;id=%01?module-path=" + h.spy + "&pin-value=" + tokenPIN + "", nil, []string{"has the PIN in it", "pin-source=file:/"}, 0},
		{"missing token", h.uri("token=gone;id=%01"), nil, []string{"pkcs11:token=gone;id=%01: no such token is there", "token=dev"}, 0},
		{"missing key", h.uri("token=dev;object=gone"), nil, []string{"the token has no such private key", "object=machine;id=%01"}, 1},
		{"ambiguous token", h.uri("token=twin;id=%01"), nil, []string{"2 tokens match", "serial="}, 0},
		{"ambiguous key", h.uri("token=dev;object=machine"), nil, []string{"2 keys match", "object=machine;id=%01", "object=machine;id=%02"}, 1},
		{"key of another", h.uri("token=dev;object=other"), nil, []string{"pkcs11:token=dev;object=other does not belong to the certificate"}, 1},
		{"key of another kind", h.uri("token=dev;id=%02"), nil, []string{"pkcs11:token=dev;id=%02 does not belong to the certificate"}, 1},
		{"module missing", strings.Replace(good, h.spy, "/nowhere.so", 1), nil, []string{"PKCS#11 module /nowhere.so: cannot be loaded"}, 0},
		{"module that is none", strings.Replace(good, h.spy, w.path("pin"), 1), nil, []string{"cannot be loaded"}, 0},
		{"two PINs", good, []string{"--private-key-passphrase-file", w.path("pin")}, []string{"both its pin-source and a passphrase file", "leave one"}, 0},
		{"wrong PIN of two sources", pin("badpin"), []string{
			"--source", "rolesanywhere,iot", "--iot-endpoint", "127.0.0.1:1", "--iot-role-alias", "x",
		}, []string{`(CKR_PIN_INCORRECT)`, "at an earlier try"}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := h.calls("C_Login")
			p := w.brsExecPKCS11(append(append(a.flags(cert, tt.key), tt.more...), "--", "touch", w.path("started"))...)
			if code := p.exit(); code != 125 {
				t.Errorf("exit code %d, want 125", code)
			}
			for _, want := range tt.want {
				if !strings.Contains(p.stderr.String(), want) {
					t.Errorf("said\n%s\nwant in it: %s", p.stderr.String(), want)
				}
			}
			w.checkComplaint(p)
			w.checkNoPIN(p)
			if n := h.calls("C_Login") - before; n != tt.logins {
				t.Errorf("logged in %d times, want %d", n, tt.logins)
			}
			if w.read("started") != "" {
				t.Error("the command ran")
			}
		})
	}
	if n := len(a.gave()); n > 0 {
		t.Errorf("%d sessions were given", n)
	}
	for _, flags := range [][]string{a.flags(cert, good), append(a.flags(cert, "pkcs11:token=dev;id=%01?module-path="+h.spy), "--private-key-passphrase-file", w.path("pin"))} {
		if p := w.brsExecPKCS11(append(flags, "--", "true")...); p.exit() != 0 {
			t.Error("the others were refused for nothing")
		}
	}
}

// TestPKCS11TokenMadeAnew: the command keeps what it has when the token is taken
// away under a running brs-exec; the PIN of before is tried once; with a key, a
// certificate and a PIN that fit it goes on by itself.
func TestPKCS11TokenMadeAnew(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 0)
	h := newSoftHSM(t, w)
	ca := newCertifier(t)
	a := startAnywhere(t, w, ca, 20*time.Second)
	key := newRSAKey(t)
	h.put("dev", "machine", "01", key)
	cert := ca.certify(w, "device", "first", key.Public())
	p := w.brsExecPKCS11(append(a.flags(cert, h.uri("token=dev;object=machine")), "--refresh-before", "17s", "--", "sh", "-c", "echo up; read -r _; true")...)
	eventually(t, patience, "three sets of credentials", func() bool { return len(a.gave()) >= 3 })

	if err := os.RemoveAll(w.path("tokens")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(w.path("tokens"), 0o700); err != nil {
		t.Fatal(err)
	}
	const otherPIN = "555666"
	h.util("--init-token", "--free", "--label", "dev", "--so-pin", soPIN, "--pin", otherPIN)
	eventually(t, patience, "the loss is said", func() bool { return strings.Contains(p.stderr.String(), "CKR_PIN_INCORRECT") || p.ended() })
	logins := h.calls("C_Login")
	if logins != 2 {
		t.Errorf("%d logins, want the first and one with the PIN of before", logins)
	}
	// A change of a file has it try again: not with that PIN.
	told := strings.Count(p.stderr.String(), "\n")
	ca.certify(w, "device", "first", key.Public())
	eventually(t, patience, "another try", func() bool { return strings.Count(p.stderr.String(), "\n") > told || p.ended() })
	if n := h.calls("C_Login"); n != logins {
		t.Errorf("%d logins, want no more than %d", n, logins)
	}
	if p.ended() {
		t.Fatal("it did not go on with what it had")
	}
	if n := strings.Count(p.stderr.String(), "msg=\"refresh refused"); n != 1 {
		t.Errorf("%d loud lines, want one:\n%s", n, p.stderr.String())
	}
	h.util("--init-token", "--token", "dev", "--label", "dev", "--so-pin", soPIN, "--pin", tokenPIN)
	key = newECKey(t)
	h.put("dev", "machine", "01", key)
	ca.certify(w, "device", "second", key.Public())
	w.swap("pin", tokenPIN+"\n")
	eventually(t, patience, "credentials by the new key", func() bool { return strings.Contains(strings.Join(a.gave(), " "), "second") })
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	w.checkNoPIN(p)
}
