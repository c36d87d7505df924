package source

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"brs-exec.example/brs-exec/integration/fakeanywhere"
	"brs-exec.example/brs-exec/refresh"
)

// soakServer is either service for two weeks: it checks each certificate on its
// own (virtual) clock, and gives sessions of an hour.
type soakServer struct {
	t    *testing.T
	ca   *authority
	down bool // answers 503

	mu    sync.Mutex
	asked int
	used  map[string]int // certificates, by name
}

func (s *soakServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.down {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	name, set, status := "", `{"credentials":%s}`, http.StatusOK
	if r.URL.Path == "/sessions" {
		if why := fakeanywhere.Verify(r, r.Host, body, s.ca.cert, "eu-west-1", time.Now()); why != "" {
			s.t.Errorf("%s: refused: %s", time.Now(), why)
		}
		certs, err := fakeanywhere.Certificates(r.Header.Get("X-Amz-X509"))
		if err != nil {
			s.t.Error(err)
			return
		}
		name, set, status = certs[0].Subject.CommonName, `{"credentialSet":[{"credentials":%s}]}`, http.StatusCreated
	} else {
		name = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	s.used[name]++
	w.WriteHeader(status)
	fmt.Fprintf(w, set, fmt.Sprintf(`{"accessKeyId":"ASIASOAK%d","secretAccessKey":"secret","sessionToken":"token","expiration":%q}`,
		s.asked, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
}

func (s *soakServer) set(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// TestSoakByCertificate runs each source in the real engine for two weeks of virtual time, over
// real TLS: certificates that live five days are renewed in two steps with hours
// between, and the service is away for 20 minutes each day, and once for half a day.
func TestSoakByCertificate(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"IoT", "Roles Anywhere"} {
		t.Run(kind, func(t *testing.T) {
			isolate(t)
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) { soakByCertificate(t, kind, dir) })
		})
	}
}

func soakByCertificate(t *testing.T, kind, dir string) {
	ca := newAuthority(t, "ca", nil)
	server := &soakServer{t: t, ca: ca, used: map[string]int{}}
	network := newPipeNet()
	own := ca.issue(t, "localhost", ecKey(t), nil)
	h := &http.Server{Handler: server, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{own.cert.Raw}, PrivateKey: own.key}},
		ClientCAs:    pool(ca.cert), ClientAuth: map[string]tls.ClientAuthType{"IoT": tls.RequireAndVerifyClientCert}[kind],
	}}
	var running sync.WaitGroup
	running.Go(func() { h.ServeTLS(network, "", "") })
	defer running.Wait()
	defer h.Close()

	caFile := filepath.Join(dir, "ca.pem")
	write(t, caFile, pemOf(ca.cert.Raw))
	setenv(t, "AWS_CA_BUNDLE="+caFile)
	start := time.Now()
	renewed := 0
	renew := func() *holder {
		renewed++
		return ca.issue(t, fmt.Sprint("certificate ", renewed), ecKey(t), lives(time.Now().Add(-time.Minute), time.Now().Add(5*day)))
	}
	files := renew().writeTo(t, dir)
	spec := Spec{IoT: &IoT{Pair: files, Endpoint: "localhost", RoleAlias: "app"}}
	if kind != "IoT" {
		spec = Spec{RolesAnywhere: &RolesAnywhere{Pair: files, TrustAnchorARN: testAnchor, ProfileARN: testProfile, RoleARN: roleA, Endpoint: "https://localhost"}}
	}
	spec.limits.dial = network.dial
	src := mustNew(t, spec)
	var notes []string
	kinds := map[refresh.Kind]int{}
	held := engine(t, src, func(e refresh.Event) { notes = append(notes, src.Notes()...); kinds[e.Kind]++ })

	away := func(from, to time.Duration, at time.Duration) bool { return at >= from && at < to }
	var next *holder
	worst := time.Hour
	for minute := 1; minute <= 14*24*60; minute++ {
		time.Sleep(time.Minute)
		at := time.Since(start)
		long := away(200*time.Hour, 212*time.Hour, at)
		server.set(long || at%day < 20*time.Minute)
		switch at.Truncate(time.Minute) % (4 * day) { // renewed each fourth day, the certificate before the key
		case 0:
			next = renew()
			write(t, files.Certificate, pemOf(next.cert.Raw))
		case 3 * time.Hour:
			if next != nil {
				write(t, files.PrivateKey, pkcs8Of(t, next.key))
			}
		}
		if !away(200*time.Hour, 213*time.Hour, at) {
			set, _ := held.get()
			worst = min(worst, time.Until(set.Expires))
		}
	}
	if worst < 5*time.Minute {
		t.Errorf("outside of the long outage the delivered set had only %s left once", worst)
	}
	synctest.Wait()

	if kinds[refresh.Expired] != 1 {
		t.Errorf("expired %d times, want once, in the long outage", kinds[refresh.Expired])
	}
	want := []string{"certificate 1", "certificate 2", "certificate 3", "certificate 4"}
	if got := slices.Sorted(maps.Keys(server.used)); !slices.Equal(got, want) {
		t.Errorf("certificates used: %v, want %v", server.used, want)
	}
	// Sessions of an hour are renewed twice an hour, but for the outages, in
	// which it is asked once a minute at most.
	if server.asked < 14*24*2*9/10 || server.asked > 14*24*3+14*20*2+12*60*2 {
		t.Errorf("asked %d times in two weeks", server.asked)
	}
	ends, broken := 0, 0
	for _, n := range notes {
		switch {
		case strings.Contains(n, " expires in "):
			ends++
		case strings.Contains(n, "the certificate and key that were read before are still used"):
			broken++
		default:
			t.Errorf("an unexpected note: %s", n)
		}
	}
	if ends != 3 || broken != 3 {
		t.Errorf("told %d times of the end of a certificate, want 3, and %d times of half a renewal, want 3: %q", ends, broken, notes)
	}
}
