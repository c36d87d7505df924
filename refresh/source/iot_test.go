package source

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"
)

// fakeIoT is AWS IoT's credentials provider: it asks for a certificate of its
// authority in TLS, and answers word for word as AWS does.
type fakeIoT struct {
	*httptest.Server
	ca     *authority
	caFile string

	// answer, if set, is asked first, and says whether it has answered.
	answer func(w http.ResponseWriter, r *http.Request) bool

	mu   sync.Mutex
	got  []recorded
	open map[net.Conn]bool
}

func newIoT(t testing.TB, edit func(*tls.Config)) *fakeIoT {
	t.Helper()
	f := &fakeIoT{ca: newAuthority(t, "devices", nil), caFile: filepath.Join(t.TempDir(), "ca.pem"), open: map[net.Conn]bool{}}
	f.Server = httptest.NewUnstartedServer(f)
	f.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool(f.ca.cert)}
	if edit != nil {
		edit(f.TLS)
	}
	f.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.Config.ConnState = func(c net.Conn, s http.ConnState) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if s == http.StateClosed {
			delete(f.open, c)
		} else {
			f.open[c] = true
		}
	}
	f.StartTLS()
	t.Cleanup(f.Close)
	write(t, f.caFile, pemOf(f.Certificate().Raw))
	return f
}

func (f *fakeIoT) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open)
}

// requests returns those so far, and forgets them.
func (f *fakeIoT) requests() []recorded {
	f.mu.Lock()
	defer f.mu.Unlock()
	got := f.got
	f.got = nil
	return got
}

// things are the fake's, by the certificates attached to them.
var things = map[string]string{"device": "thing-1", "outsider": "thing-2"}

func (f *fakeIoT) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.TLS.PeerCertificates[0].Subject.CommonName
	f.mu.Lock()
	f.got = append(f.got, recorded{name, r.Method + " " + r.URL.EscapedPath(), r.Header.Clone()})
	answer := f.answer
	f.mu.Unlock()
	if answer != nil && answer(w, r) {
		return
	}
	iotAnswer(w, r, name)
}

func iotAnswer(w http.ResponseWriter, r *http.Request, name string) {
	w.Header().Set("Content-Type", "application/json")
	refuse := func(status int, code, message string) {
		w.Header().Set("X-Amzn-Errortype", code)
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]string{"message": message})
	}
	alias, ok := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/credentials"), "/role-aliases/")
	thing, duration := r.Header.Get("x-amzn-iot-thingname"), r.Header.Get("x-amzn-iot-credential-duration-seconds")
	switch {
	case r.Method != http.MethodGet || !ok || !strings.HasSuffix(r.URL.Path, "/credentials"):
		refuse(404, "ResourceNotFoundException", "no such path")
	case things[name] == "":
		refuse(403, "AccessDeniedException", "Certificate is invalid on this endpoint")
	case thing != things[name]:
		refuse(403, "AccessDeniedException", "Invalid thing name passed")
	case name == "outsider":
		refuse(403, "AccessDeniedException", "Access Denied")
	case alias == "roleless":
		refuse(400, "InvalidRequestException", "Unable to assume the role, or the role to assume does not exist")
	case alias != "app" && alias != "a,b=c@d":
		refuse(404, "ResourceNotFoundException", "Role alias does not exist")
	case duration != "" && duration != "900":
		refuse(400, "InvalidRequestException", "The requested CredentialDurationSeconds exceeds the MaxSessionDuration set for the role")
	default:
		fmt.Fprint(w, iotSet)
	}
}

var iotSet = fmt.Sprintf(`{"credentials":{"accessKeyId":"ASIAIOT","secretAccessKey":%q,"sessionToken":%q,"expiration":%q}}`,
	roleSecret, roleToken, roleExpires.Format(time.RFC3339))

// spec is that of the named holder of a good certificate.
func (f *fakeIoT) spec(t testing.TB, name string) Spec {
	t.Helper()
	return Spec{IoT: &IoT{
		Pair:     f.ca.issue(t, name, ecKey(t), nil).writeTo(t, t.TempDir()),
		Endpoint: f.Listener.Addr().String(), CAFile: f.caFile, RoleAlias: "app", ThingName: things[name],
	}}
}

func TestIoT(t *testing.T) {
	t.Parallel()
	isolate(t)
	f := newIoT(t, nil)
	spec := f.spec(t, "device")
	spec.IoT.RoleAlias, spec.IoT.Duration = "a,b=c@d", 15*time.Minute
	s := mustNew(t, spec)
	want := aws.Credentials{
		AccessKeyID: "ASIAIOT", SecretAccessKey: roleSecret, SessionToken: roleToken, Source: "IoT", CanExpire: true, Expires: roleExpires,
	}
	if diff := cmp.Diff(want, mustRetrieve(t, s)); diff != "" {
		t.Errorf("credentials (-want +got):\n%s", diff)
	}
	got := f.requests()
	if len(got) != 1 || got[0].path != "GET /role-aliases/a%2Cb=c@d/credentials" || got[0].name != "device" ||
		got[0].header.Get("x-amzn-iot-thingname") != "thing-1" || got[0].header.Get("x-amzn-iot-credential-duration-seconds") != "900" {
		t.Errorf("asked %+v", got)
	}
	if s.Describe() != `IoT role alias "a,b=c@d"` || s.Profile() != "" {
		t.Errorf("described as %s, profile %q", s.Describe(), s.Profile())
	}
	eventually(t, "the connection is closed", func() bool { return f.connections() == 0 })

	// Keys of RSA, and a certificate below an intermediate one.
	inter := newAuthority(t, "intermediate", f.ca)
	spec.IoT.Pair = inter.issue(t, "device", rsaKey(t), nil).writeTo(t, t.TempDir(), inter.cert)
	spec.IoT.ThingName, spec.IoT.Duration, spec.IoT.RoleAlias = "thing-1", 0, "app"
	mustRetrieve(t, mustNew(t, spec))
	if h := f.requests()[0].header; h["X-Amzn-Iot-Credential-Duration-Seconds"] != nil {
		t.Errorf("a duration was asked for that nobody gave: %v", h)
	}
}

// TestIoTRole: a role on top, which is a chained one.
func TestIoTRole(t *testing.T) {
	t.Parallel()
	isolate(t)
	f, sts := newIoT(t, nil), newSTS(t)
	setenv(t, "AWS_ENDPOINT_URL_STS="+sts.URL)
	spec := f.spec(t, "device")
	spec.Roles = []Role{{ARN: roleA, Duration: 2 * time.Hour}}
	s := mustNew(t, spec)
	if c := mustRetrieve(t, s); c.AccessKeyID != "ASIAROLE1" {
		t.Errorf("the key is %s", c.AccessKeyID)
	}
	got := sts.got()
	if len(got) != 1 || got[0].keyID != "ASIAIOT" || got[0].token != roleToken || got[0].Get("DurationSeconds") != "3600" {
		t.Errorf("STS got %v", got)
	}
	if n := s.Notes(); len(n) != 1 || !strings.Contains(n[0], "lasts 1h, not 2h") {
		t.Errorf("notes %q, want the cap", n)
	}
}

// TestIoTRefusals: what AWS says, and what to do about it.
func TestIoTRefusals(t *testing.T) {
	t.Parallel()
	isolate(t)
	f := newIoT(t, nil)
	for _, tt := range []struct {
		name, holder string
		edit         func(*IoT)
		want, hint   string
	}{
		{"unknown thing", "device", func(i *IoT) { i.ThingName = "x" },
			`IoT role alias "app": AccessDeniedException: Invalid thing name passed`, "aws iot list-thing-principals --thing-name x"},
		{"no thing", "device", func(i *IoT) { i.ThingName = "" },
			`IoT role alias "app": AccessDeniedException: Invalid thing name passed`, "pass --iot-thing-name"},
		{"policy", "outsider", func(*IoT) {}, `IoT role alias "app": AccessDeniedException: Access Denied`, "iot:AssumeRoleWithCertificate"},
		{"certificate", "stranger", func(*IoT) {}, `IoT role alias "app": AccessDeniedException: Certificate is invalid on this endpoint`, "registered and active"},
		{"alias", "device", func(i *IoT) { i.RoleAlias = "gone" },
			`IoT role alias "gone": ResourceNotFoundException: Role alias does not exist`, "list-role-aliases"},
		{"role", "device", func(i *IoT) { i.RoleAlias = "roleless" },
			`IoT role alias "roleless": InvalidRequestException: Unable to assume the role, or the role to assume does not exist`, "credentials.iot.amazonaws.com"},
		{"duration", "device", func(i *IoT) { i.Duration = 12 * time.Hour },
			`IoT role alias "app": InvalidRequestException: The requested CredentialDurationSeconds exceeds the MaxSessionDuration set for the role`, "--duration"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := f.spec(t, tt.holder)
			tt.edit(spec.IoT)
			_, err := mustNew(t, spec).Retrieve(t.Context())
			e := failure(t, err)
			if e.Error() != tt.want || !e.Permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q (permanent %v)\nwant  %q\nhint  %q, want %q in it", e, e.Permanent, tt.want, e.Hint, tt.hint)
			}
		})
	}
}

// TestIoTHandshake: what already TLS refuses.
func TestIoTHandshake(t *testing.T) {
	t.Parallel()
	isolate(t)
	// The alert comes in the handshake itself before TLS 1.3, and else at any time
	// after it, when a lost race shows only a reset connection.
	old := func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }
	good := newIoT(t, old)
	late := newIoT(t, func(c *tls.Config) {
		old(c)
		c.Time = func() time.Time { return time.Now().AddDate(2, 0, 0) }
	})
	other := newAuthority(t, "other", nil)
	host := func(f *fakeIoT) string { return f.Listener.Addr().String() }
	for _, tt := range []struct {
		name       string
		fake       *fakeIoT
		edit       func(*testing.T, *IoT)
		want, hint string
	}{
		{"certificate of another authority", good, func(t *testing.T, i *IoT) {
			i.Pair = other.issue(t, "device", ecKey(t), nil).writeTo(t, t.TempDir())
		}, host(good) + " refuses the certificate: tls: unknown certificate authority", "registered"},
		{"expired for the server", late, func(*testing.T, *IoT) {}, host(late) + " refuses the certificate: tls: expired certificate", "registered"},
		{"server of another authority", good, func(t *testing.T, i *IoT) {
			i.CAFile = filepath.Join(t.TempDir(), "other.pem")
			write(t, i.CAFile, pemOf(other.cert.Raw))
		}, "TLS certificate from " + host(good) + ": x509: certificate signed by unknown authority", "--ca-file"},
		{"no CA file", good, func(_ *testing.T, i *IoT) { i.CAFile = "/nowhere" }, "CA file: open /nowhere: no such file or directory", "file of certificates"},
		{"no PEM in the CA file", good, func(_ *testing.T, i *IoT) { i.CAFile = i.PrivateKey }, ": holds no certificate in PEM", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spec := tt.fake.spec(t, "device")
			tt.edit(t, spec.IoT)
			_, err := mustNew(t, spec).Retrieve(t.Context())
			e := failure(t, err)
			if !strings.HasPrefix(e.Error(), `IoT role alias "app": `) || !strings.Contains(e.Error(), tt.want) || !e.Permanent || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("error %q (permanent %v)\nwant  %q in it\nhint  %q, want %q in it", e, e.Permanent, tt.want, e.Hint, tt.hint)
			}
			if n := len(tt.fake.requests()); n > 0 {
				t.Errorf("%d requests reached the server", n)
			}
		})
	}
	t.Run("by AWS_CA_BUNDLE", func(t *testing.T) {
		spec := good.spec(t, "device")
		setenv(t, "AWS_CA_BUNDLE="+spec.IoT.CAFile)
		spec.IoT.CAFile = ""
		mustRetrieve(t, mustNew(t, spec))
	})
	t.Run("TLS 1.3", func(t *testing.T) {
		f := newIoT(t, nil)
		spec := f.spec(t, "device")
		mustRetrieve(t, mustNew(t, spec))
		spec.IoT.Pair = other.issue(t, "device", ecKey(t), nil).writeTo(t, t.TempDir())
		if _, err := mustNew(t, spec).Retrieve(t.Context()); err == nil {
			t.Error("a certificate of another authority was accepted")
		}
	})
}

func TestIoTFaults(t *testing.T) {
	t.Parallel()
	isolate(t)
	f := newIoT(t, nil)
	certificateFaults(t, f.spec(t, "device"), `IoT role alias "app": `, f.connections, func(answer func(http.ResponseWriter, *http.Request) bool) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.answer = answer
	}, iotSet, http.StatusOK)
}
