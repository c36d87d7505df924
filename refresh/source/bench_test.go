package source

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
)

// BenchmarkNew is what a source costs at start-up, beside what the SDK's
// LoadDefaultConfig does.
func BenchmarkNew(b *testing.B) {
	many := strings.Builder{}
	for i := range 1000 {
		fmt.Fprintf(&many, "[profile p%d]\naws_access_key_id = A\naws_secret_access_key = S\nregion = eu-west-1\n", i)
	}
	tests := []struct {
		name, config string
		env          []string
		spec         Spec
	}{
		{"environment", "", []string{"AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=S"}, Spec{}},
		{"profile", "[profile p1]\naws_access_key_id = A\naws_secret_access_key = S\n", nil, Spec{Profile: "p1"}},
		{"profile of 1000", many.String(), nil, Spec{Profile: "p1"}},
		{"role", "", []string{"AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=S"}, Spec{Roles: []Role{{ARN: roleA}}}},
	}
	for _, tt := range tests {
		conf, _ := isolate(b)
		write(b, conf, tt.config)
		setenv(b, tt.env...)
		b.Run("source/"+tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustNew(b, tt.spec)
			}
		})
		b.Run("sdk/"+tt.name, func(b *testing.B) {
			ofProcess(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := config.LoadDefaultConfig(b.Context(), config.WithSharedConfigProfile(tt.spec.Profile)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRetrieve(b *testing.B) {
	isolate(b)
	baseEnv(b)
	sts := newSTS(b)
	setenv(b, "AWS_ENDPOINT_URL="+sts.URL)
	for name, spec := range map[string]Spec{"environment": {}, "role": {Roles: []Role{{ARN: roleA}}}} {
		b.Run(name, func(b *testing.B) {
			src := mustNew(b, spec)
			b.ReportAllocs()
			for b.Loop() {
				mustRetrieve(b, src)
			}
		})
	}
}

// BenchmarkPool is what a first round of many roles costs over TLS: handshakes, most of all.
func BenchmarkPool(b *testing.B) {
	isolate(b)
	baseEnv(b)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		stsAnswer(w, r.Form.Get("Action"), time.Hour)
	}))
	var handshakes atomic.Int64
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			handshakes.Add(1)
		}
	}
	server.StartTLS()
	defer server.Close()
	bundle := filepath.Join(b.TempDir(), "bundle.pem")
	write(b, bundle, pemOf(server.Certificate().Raw))
	setenv(b, "AWS_ENDPOINT_URL="+server.URL, "AWS_CA_BUNDLE="+bundle)
	all := poolNew(b, NewPool(), many(1000, Spec{})...)
	for b.Loop() {
		atOnce(all, func(s *Source) { mustRetrieve(b, s) })
	}
	b.ReportMetric(float64(handshakes.Load())/float64(b.N), "connections/round")
}
