//go:build unix

package integration

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// certifier is a certificate authority.
type certifier struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCertifier(t *testing.T) *certifier {
	t.Helper()
	c := &certifier{t: t}
	c.cert, c.key = c.make(&x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, time.Hour)
	return c
}

// make signs a certificate with a new key, by the authority's if it has one.
func (c *certifier) make(template *x509.Certificate, life time.Duration) (*x509.Certificate, *ecdsa.PrivateKey) {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	return c.sign(template, key.Public(), key, life), key
}

// sign signs a certificate for a key, by the authority's or, if it has none yet, by self.
func (c *certifier) sign(template *x509.Certificate, public crypto.PublicKey, self *ecdsa.PrivateKey, life time.Duration) *x509.Certificate {
	c.t.Helper()
	var err error
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		c.t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(life)
	parent, by := c.cert, c.key
	if parent == nil {
		parent, by = template, self
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		c.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		c.t.Fatal(err)
	}
	return cert
}

// write issues a certificate to name, and puts it and its key into two files of
// the world, each in one step, as what renews certificates does.
func (c *certifier) write(w *world, file, name string, life time.Duration) (cert, key string) {
	c.t.Helper()
	made, private := c.make(device(name), life)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		c.t.Fatal(err)
	}
	w.swap(file+".crt", pemText("CERTIFICATE", made.Raw))
	w.swap(file+".key", pemText("PRIVATE KEY", der))
	return w.path(file + ".crt"), w.path(file + ".key")
}

// device is the certificate of one.
func device(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
}

// certify issues a certificate for a key that something else holds.
func (c *certifier) certify(w *world, file, name string, public crypto.PublicKey) (cert string) {
	c.t.Helper()
	w.swap(file+".crt", pemText("CERTIFICATE", c.sign(device(name), public, nil, time.Hour).Raw))
	return w.path(file + ".crt")
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// swap replaces a file of the world in one step.
func (w *world) swap(name, content string) {
	w.t.Helper()
	w.write(name+".new", content)
	if err := os.Rename(w.path(name+".new"), w.path(name)); err != nil {
		w.t.Fatal(err)
	}
}

// nginxConf is AWS IoT's credentials provider as far as nginx can be one: real
// mutual TLS, its checks of alias and thing, and AWS's words.
const nginxConf = `
daemon off;
master_process off;
pid DIR/nginx.pid;
error_log DIR/nginx-error.log;
events {}
http {
	client_body_temp_path DIR/nginx-tmp; proxy_temp_path DIR/nginx-tmp; fastcgi_temp_path DIR/nginx-tmp;
	uwsgi_temp_path DIR/nginx-tmp; scgi_temp_path DIR/nginx-tmp;
	log_format who '$ssl_client_s_dn $status $request_uri $http_x_amzn_iot_thingname';
	access_log DIR/nginx-access.log who;
	default_type application/json;
	map $http_x_amzn_iot_thingname $thing_unknown { default 1; thing-1 0; }
	server {
		listen ADDRESS ssl;
		ssl_certificate DIR/server.crt;
		ssl_certificate_key DIR/server.key;
		ssl_client_certificate DIR/ca.crt;
		ssl_verify_client on;
		ssl_protocols PROTOCOLS;
		location = /role-aliases/app/credentials {
			if ($thing_unknown) { return 403 '{"message":"Invalid thing name passed"}'; }
			alias DIR/creds.json;
		}
		location / { return 404 '{"message":"Role alias does not exist"}'; }
	}
}
`

// startNginx starts one that asks for certificates of ca, and returns its address.
func startNginx(t *testing.T, w *world, ca *certifier) string {
	t.Helper()
	return startNginxWith(t, w, ca, "TLSv1.2 TLSv1.3")
}

func startNginxWith(t *testing.T, w *world, ca *certifier, protocols string) string {
	t.Helper()
	nginx := ""
	for _, path := range []string{"nginx", "/usr/sbin/nginx"} { // which is in the path of root alone
		if found, err := exec.LookPath(path); err == nil {
			nginx = found
			break
		}
	}
	if nginx == "" {
		missing(t, "nginx")
	}
	address := fmt.Sprintf("127.0.0.1:%d", twoFreePorts(t))
	w.write("ca.crt", pemText("CERTIFICATE", ca.cert.Raw))
	ca.write(w, "server", "server", time.Hour)
	conf := w.write("nginx.conf", strings.NewReplacer("DIR", w.dir, "ADDRESS", address, "PROTOCOLS", protocols).Replace(nginxConf))
	cmd := exec.Command(nginx, "-p", w.dir, "-c", conf)
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
			t.Logf("nginx:\n%s%s%s", said.String(), w.read("nginx-error.log"), w.read("nginx-access.log"))
		}
	})
	eventually(t, patience, "nginx listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return address
}

// serveSessions puts a new session into what nginx serves, every so often until
// the test ends.
func serveSessions(t *testing.T, w *world, life, every time.Duration) {
	t.Helper()
	issue := func() {
		c := w.server.Issue("arn:aws:sts::123456789012:assumed-role/App/device", life)
		text, err := json.Marshal(map[string]any{"credentials": map[string]string{
			"accessKeyId": c.AccessKeyID, "secretAccessKey": c.SecretAccessKey, "sessionToken": c.SessionToken,
			"expiration": c.Expires.UTC().Format(time.RFC3339),
		}})
		if err != nil {
			panic(err)
		}
		w.swap("creds.json", string(text))
	}
	issue()
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				issue()
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
}

// iotFlags are those for a device of ca.
func iotFlags(w *world, ca *certifier, address, name string, life time.Duration) []string {
	cert, key := ca.write(w, "device", name, life)
	return iotFlagsFor(w, address, cert, key)
}

func iotFlagsFor(w *world, address, cert, key string) []string {
	w.unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	return []string{
		"--iot-endpoint", address, "--iot-role-alias", "app", "--iot-thing-name", "thing-1",
		"--certificate", cert, "--private-key", key, "--ca-file", w.path("ca.crt"),
	}
}

// TestIoTOverNginx: a command outlives its sessions, and the certificate that they
// are had with, which is replaced while it runs.
func TestIoTOverNginx(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newWorld(t, 0)
	ca := newCertifier(t)
	address := startNginx(t, w, ca)
	const lifetime = 16 * time.Second
	serveSessions(t, w, lifetime, time.Second)
	client := goClient(t)
	p := w.brsExec(append(iotFlags(w, ca, address, "first", time.Hour), "--log-level", "debug", "--", client)...)
	calls := func(n int) {
		t.Helper()
		eventually(t, patience, "more calls", func() bool { return len(p.stdout.lines()) >= n || p.ended() })
	}
	calls(30) // half a second each
	ca.write(w, "device", "second", time.Hour)
	calls(70)
	w.awaitOutlived(p)
	p.stdin.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if ok, refused := counts(p); refused > 0 || ok < 70 {
		t.Errorf("%d calls went well, and %d were refused:\n%s", ok, refused, p.stdout.String())
	}
	checkOutlived(t, w, p)
	log := w.read("nginx-access.log")
	for _, want := range []string{"CN=first 200 /role-aliases/app/credentials thing-1\n", "CN=second 200 /role-aliases/app/credentials thing-1\n"} {
		if !strings.Contains(log, want) {
			t.Errorf("nginx was not asked like %q", want)
		}
	}
	if i, j := strings.LastIndex(log, "CN=first "), strings.Index(log, "CN=second "); i > j {
		t.Error("the first certificate was used after the second")
	}
}

// TestIoTOverNginxRefused: a third party's refusals end the start with the cause.
func TestIoTOverNginxRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 0)
	ca := newCertifier(t)
	address := startNginx(t, w, ca)
	serveSessions(t, w, time.Hour, time.Hour)
	good := iotFlags(w, ca, address, "first", time.Hour)
	with := func(pairs ...string) []string {
		flags := append([]string(nil), good...)
		for i := 0; i < len(flags); i += 2 {
			for j := 0; j < len(pairs); j += 2 {
				if flags[i] == pairs[j] {
					flags[i+1] = pairs[j+1]
				}
			}
		}
		return flags
	}
	strangerCert, strangerKey := newCertifier(t).write(w, "stranger", "stranger", time.Hour)
	oldCert, oldKey := ca.write(w, "old", "old", -time.Minute)
	dataEndpoint := "a1b2c3-ats.iot.eu-west-1.amazonaws.com"
	for _, tt := range []struct {
		name  string
		flags []string
		want  []string // of standard error
		asked bool
	}{
		{"unknown thing", with("--iot-thing-name", "thing-9"), []string{`IoT role alias "app": HTTP 403 Forbidden: Invalid thing name passed`, "--thing-name thing-9"}, true},
		{"missing alias", with("--iot-role-alias", "gone"), []string{`IoT role alias "gone": HTTP 404 Not Found: Role alias does not exist`, "list-role-aliases"}, true},
		{"wrong authority", with("--certificate", strangerCert, "--private-key", strangerKey), []string{`IoT role alias "app": HTTP 400 Bad Request from ` + address}, true},
		{"expired certificate", with("--certificate", oldCert, "--private-key", oldKey), []string{"certificate " + oldCert + " has expired", "without a restart"}, false},
		{"key of another", with("--private-key", strangerKey), []string{"private key " + strangerKey + " does not belong to certificate "}, false},
		{"server of an unknown authority", with("--ca-file", strangerCert), []string{"TLS certificate from " + address + ": x509: certificate signed by unknown authority"}, false},
		{"data endpoint", with("--iot-endpoint", dataEndpoint), []string{"IoT endpoint " + dataEndpoint + ": this is the endpoint for messages", "--endpoint-type iot:CredentialProvider"}, false},
		{"and a profile", append(with(), "--profile", "x"), []string{"--profile and --iot-endpoint are two sources"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(strings.Split(w.read("nginx-access.log"), "\n"))
			p := w.brsExec(append(tt.flags, "--", "true")...)
			if code := p.exit(); code != 125 {
				t.Errorf("exit code %d, want 125", code)
			}
			for _, want := range tt.want {
				if !strings.Contains(p.stderr.String(), want) {
					t.Errorf("said\n%s\nwant in it: %s", p.stderr.String(), want)
				}
			}
			if asked := len(strings.Split(w.read("nginx-access.log"), "\n")) > before; asked != tt.asked {
				t.Errorf("nginx was asked: %v, want %v", asked, tt.asked)
			}
		})
	}
	t.Run("good", func(t *testing.T) {
		if code := w.brsExec(append(good, "--", "true")...).exit(); code != 0 {
			t.Errorf("exit code %d: the others were refused for nothing", code)
		}
	})
}
