//go:build linux

package integration

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"
)

const (
	keyAuth   = "auth-of-a-key"
	wrongAuth = "no-auth-of-any"
)

// emulatedTPM is one TPM of a world, of which there may be several.
type emulatedTPM struct {
	w      *world
	socket string
	state  string
	stop   func()
}

func newTPM(t *testing.T, w *world, name string) *emulatedTPM {
	t.Helper()
	program(t, "swtpm")
	program(t, "openssl")
	library(t, "tpm2-openssl", "ossl-modules/tpm2.so")
	// Not in the world: the path of a socket has room for 107 bytes.
	dir, err := os.MkdirTemp("", "tpm-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	e := &emulatedTPM{w: w, socket: filepath.Join(dir, "s"), state: w.path(name)}
	if err := os.Mkdir(e.state, 0o700); err != nil {
		t.Fatal(err)
	}
	e.start()
	t.Cleanup(func() { e.stop() })
	return e
}

// start switches the TPM on.
func (e *emulatedTPM) start() {
	t := e.w.t
	t.Helper()
	// The control socket has the name that TPM2OPENSSL_TCTI takes it to have.
	cmd := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+e.state, "--flags", "not-need-init,startup-clear",
		"--server", "type=unixio,path="+e.socket, "--ctrl", "type=unixio,path="+e.socket+".ctrl")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	e.stop = func() {
		cmd.Process.Kill()
		cmd.Wait()
		os.Remove(e.socket)
		os.Remove(e.socket + ".ctrl")
	}
	eventually(t, patience, "the TPM answers", func() bool {
		c, err := net.Dial("unix", e.socket)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// openssl runs it with the provider of tpm2-openssl.
func (e *emulatedTPM) openssl(args ...string) string {
	e.w.t.Helper()
	cmd := exec.Command("openssl", append(args, "-provider", "tpm2", "-provider", "base")...)
	cmd.Env = append(e.w.environ(), "TPM2OPENSSL_TCTI=swtpm:path="+e.socket)
	var stderr output
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		e.w.t.Fatalf("openssl %q: %v\n%s", args, err, stderr.String())
	}
	return string(out)
}

// make has the TPM make a key, whose file only it can load.
func (e *emulatedTPM) make(file string, options ...string) (path string, public crypto.PublicKey) {
	e.w.t.Helper()
	path = e.w.path(file)
	args := []string{"genpkey", "-out", path}
	pass := []string{}
	for _, o := range options {
		args = append(args, "-pkeyopt", o)
		if auth, ok := strings.CutPrefix(o, "user-auth:"); ok {
			pass = []string{"-passin", "pass:" + auth}
		}
	}
	kind := "RSA"
	if strings.HasPrefix(options[0], "group:") {
		kind = "EC"
	}
	e.openssl(append(args, "-algorithm", kind)...)
	block, _ := pem.Decode([]byte(e.openssl(append([]string{"pkey", "-in", path, "-pubout"}, pass...)...)))
	if block == nil {
		e.w.t.Fatal("openssl wrote no public key")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		e.w.t.Fatal(err)
	}
	return path, public
}

// uri names a key in the TPM.
func (e *emulatedTPM) uri(key string) string { return "tpm2:" + key + "?device=" + e.socket }

// persist has the TPM make an RSA key that stays in it at a handle. Nobody but
// who knows auth may use it.
func (e *emulatedTPM) persist(handle tpm2.TPMHandle, auth string) crypto.PublicKey {
	t := e.w.t
	t.Helper()
	tpm, err := linuxudstpm.Open(e.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer tpm.Close()
	made, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.TPMRHOwner,
		InSensitive:   tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: []byte(auth)}}},
		InPublic: tpm2.New2B(tpm2.TPMTPublic{
			Type: tpm2.TPMAlgRSA, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, SignEncrypt: true},
			Parameters:       tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{KeyBits: 2048}),
		}),
	}.Execute(tpm)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tpm2.EvictControl{
		Auth:             tpm2.TPMRHOwner,
		ObjectHandle:     &tpm2.NamedHandle{Handle: made.ObjectHandle, Name: made.Name},
		PersistentHandle: handle,
	}.Execute(tpm)
	if err != nil {
		t.Fatal(err)
	}
	tpm2.FlushContext{FlushHandle: made.ObjectHandle}.Execute(tpm)
	contents, err := made.OutPublic.Contents()
	if err != nil {
		t.Fatal(err)
	}
	public, err := tpm2.Pub(*contents)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

// forgive has the TPM forget wrong values. It locks at the third.
func (e *emulatedTPM) forgive() {
	t := e.w.t
	t.Helper()
	tpm, err := linuxudstpm.Open(e.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer tpm.Close()
	// TPM2_DictionaryAttackLockReset, which go-tpm lacks, by the empty password of
	// TPM_RH_LOCKOUT.
	answer, err := tpm.Send([]byte("\x80\x02\x00\x00\x00\x1b\x00\x00\x01\x39\x40\x00\x00\x0a\x00\x00\x00\x09\x40\x00\x00\x09\x00\x00\x00\x00\x00"))
	if err != nil || string(answer[6:10]) != "\x00\x00\x00\x00" {
		t.Fatalf("reset the lockout: %x, %v", answer, err)
	}
}

// wasted is how many wrong authorization values the TPM has counted.
func (e *emulatedTPM) wasted() uint32 {
	t := e.w.t
	t.Helper()
	tpm, err := linuxudstpm.Open(e.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer tpm.Close()
	answer, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(tpm2.TPMPTLockoutCounter), PropertyCount: 1}.Execute(tpm)
	if err != nil {
		t.Fatal(err)
	}
	properties, err := answer.CapabilityData.Data.TPMProperties()
	if err != nil || len(properties.TPMProperty) != 1 {
		t.Fatal(properties, err)
	}
	return properties.TPMProperty[0].Value
}

// TestTPM: a command outlives its sessions, which are had with a key that only the
// TPM can use, also when that was off for a while.
func TestTPM(t *testing.T) {
	slow(t)
	t.Parallel()
	file := func(options ...string) func(*emulatedTPM) (string, crypto.PublicKey) {
		return func(e *emulatedTPM) (string, crypto.PublicKey) {
			path, public := e.make("tpm.key", options...)
			return e.uri("file=" + path), public
		}
	}
	persistent := func(e *emulatedTPM) (string, crypto.PublicKey) {
		public := e.persist(0x81000010, "")
		return e.uri("handle=0x81000010"), public
	}
	for _, tt := range []struct {
		name  string
		key   func(*emulatedTPM) (uri string, public crypto.PublicKey)
		serve serving
		auth  bool
	}{
		{"EC by TLS 1.3", file("group:P-256"), serveIoT("TLSv1.3"), false},
		{"RSA by TLS 1.3", file("bits:2048"), serveIoT("TLSv1.3"), false},
		{"RSA by TLS 1.2", file("bits:2048"), serveIoT("TLSv1.2"), false},
		{"EC with a value", file("group:P-256", "user-auth:"+keyAuth), serveAnywhere, true},
		{"RSA persistent", persistent, serveAnywhere, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 0)
			e := newTPM(t, w, "tpm")
			ca := newCertifier(t)
			key, public := tt.key(e)
			flags, sets := tt.serve(t, w, ca)
			client := goClient(t)
			args := flags(ca.certify(w, "device", "device", public), key)
			if tt.auth {
				args = append(args, "--private-key-passphrase-file", w.write("auth", keyAuth+"\n"))
			}
			p := w.brsExec(append(args, "--log-level", "debug", "--", client)...)
			eventually(t, patience, "three sets of credentials", func() bool { return sets() >= 3 || p.ended() })
			e.stop()
			e.start()
			again := sets()
			eventually(t, patience, "two sets of credentials after the TPM was off", func() bool { return sets() >= again+2 || p.ended() })
			w.awaitOutlived(p)
			p.stdin.Close()
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
			if s := leaked(p.stderr.String(), []string{keyAuth}); s != "" {
				t.Error("the authorization value was printed")
			}
			checkOutlived(t, w, p)
		})
	}
}

// TestTPMRefused: what is wrong is said before anything starts, and a wrong
// authorization value is tried once.
func TestTPMRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	e, other := newTPM(t, w, "tpm"), newTPM(t, w, "other")
	ca := newCertifier(t)
	a := startAnywhere(t, w, ca, time.Hour)
	path, public := e.make("tpm.key", "group:P-256", "user-auth:"+keyAuth)
	strange, strangePublic := other.make("strange.key", "group:P-256")
	strangeCert := ca.certify(w, "strange", "strange", strangePublic)
	open, _ := e.make("open.key", "group:P-256")
	cert := ca.certify(w, "device", "device", public)
	auth, bad := w.write("auth", keyAuth+"\n"), w.write("badauth", wrongAuth+"\n")
	stays := ca.certify(w, "stays", "stays", e.persist(0x81000010, keyAuth))
	twoSources := []string{"--source", "rolesanywhere,iot", "--iot-endpoint", "127.0.0.1:1", "--iot-role-alias", "x"}
	w.write("broken.key", pemText("TSS2 PRIVATE KEY", []byte("broken")))
	for _, tt := range []struct {
		name, key, cert, auth string
		more                  []string
		want                  []string // of standard error
		wasted                uint32
	}{
		{"no value", e.uri("file=" + path), cert, "", nil, []string{"private key " + path + ": asks for an authorization value", "--private-key-passphrase-file"}, 0},
		{"wrong value", e.uri("file=" + path), cert, bad, nil, []string{"the TPM refuses its authorization value (TPM_RC_AUTH_FAIL)", "not tried again"}, 1},
		{"wrong value of two sources", e.uri("file=" + path), cert, bad, twoSources, []string{"(TPM_RC_AUTH_FAIL)", "at an earlier try"}, 1},
		{"no value for a persistent key", e.uri("handle=0x81000010"), stays, "", twoSources, []string{"private key tpm2:handle=0x81000010: asks for an authorization value"}, 1},
		{"another persistent key", e.uri("handle=0x81000010"), cert, auth, nil, []string{"private key tpm2:handle=0x81000010 does not belong to the certificate"}, 0},
		{"key of another TPM", e.uri("file=" + strange), strangeCert, "", nil, []string{"load the key", "is it a key of this TPM"}, 0},
		{"key of another certificate", e.uri("file=" + open), cert, "", nil, []string{"private key " + open + " does not belong to the certificate"}, 0},
		{"no such handle", e.uri("handle=0x81000099"), cert, "", nil, []string{"private key tpm2:handle=0x81000099", "is it a key of this TPM"}, 0},
		{"broken file", e.uri("file=" + w.path("broken.key")), cert, "", nil, []string{"cannot be parsed as a TSS2 PRIVATE KEY", "tpm2-openssl"}, 0},
		{"file of something else", e.uri("file=" + cert), cert, "", nil, []string{"holds no TSS2 PRIVATE KEY"}, 0},
		{"no TPM", "tpm2:file=" + path + "?device=" + w.path("none"), cert, auth, nil, []string{w.path("none") + ": ", "no such file", "is there a TPM 2.0"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e.forgive()
			args := append(a.flags(tt.cert, tt.key), tt.more...)
			if tt.auth != "" {
				args = append(args, "--private-key-passphrase-file", tt.auth)
			}
			p := w.brsExec(append(args, "--", "touch", w.path("started"))...)
			if code := p.exit(); code != 125 {
				t.Errorf("exit code %d, want 125", code)
			}
			for _, want := range tt.want {
				if !strings.Contains(p.stderr.String(), want) {
					t.Errorf("said\n%s\nwant in it: %s", p.stderr.String(), want)
				}
			}
			w.checkComplaint(p)
			if leaked(p.stderr.String(), []string{keyAuth, wrongAuth}) != "" {
				t.Error("the authorization value was printed")
			}
			if n := e.wasted(); n != tt.wasted {
				t.Errorf("the TPM counted %d wrong values, want %d", n, tt.wasted)
			}
		})
	}
	e.forgive()
	if p := w.brsExec(append(a.flags(cert, e.uri("file="+path)), "--private-key-passphrase-file", auth, "--", "true")...); p.exit() != 0 {
		t.Error("the others were refused for nothing")
	}
}
