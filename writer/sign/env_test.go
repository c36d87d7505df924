package sign

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"brs-exec.example/brs-exec/writer/sign/authority"
)

// TestEnv: the variables of each way; their values are those of the rooms that know them.
func TestEnv(t *testing.T) {
	t.Parallel()
	user := []string{"AWS_ENDPOINT_URL_S3=http://minio:9000", "HTTPS_PROXY=http://proxy:3128", "AWS_ENDPOINT_URL_EMPTY="}
	for _, tt := range []struct {
		via    Way
		some   []string // that are there, URL standing for the server's
		absent []string
	}{
		{Both, []string{"HTTPS_PROXY=URL", "https_proxy=URL", "SSL_CERT_FILE=FILE", "AWS_ENDPOINT_URL=URL", "AWS_ENDPOINT_URL_S3=URL"}, []string{"AWS_ENDPOINT_URL_EMPTY"}},
		{Proxy, []string{"HTTPS_PROXY=URL", "https_proxy=URL", "SSL_CERT_FILE=FILE"}, []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"}},
		{Endpoint, []string{"AWS_ENDPOINT_URL=URL", "AWS_ENDPOINT_URL_S3=URL"}, []string{"HTTPS_PROXY", "https_proxy", "SSL_CERT_FILE"}},
	} {
		s, err := Listen(Options{Via: tt.via, Environ: user, Region: "us-east-1"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.listener.Close()
		var written [][]byte
		env, err := s.Env(func(name string, content []byte) (string, error) {
			written = append(written, content)
			return "/run/" + name, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, entry := range env {
			name, value, _ := strings.Cut(entry, "=")
			if _, twice := got[name]; twice {
				t.Errorf("%v: %s twice", tt.via, name)
			}
			if strings.HasPrefix(value, "/run/") {
				value = "FILE"
			}
			got[name] = strings.ReplaceAll(value, s.URL(), "URL")
		}
		for _, entry := range tt.some {
			name, value, _ := strings.Cut(entry, "=")
			if got[name] != value {
				t.Errorf("%v: %s is %q, want %q", tt.via, name, got[name], value)
			}
		}
		for _, name := range tt.absent {
			if _, there := got[name]; there {
				t.Errorf("%v: %s is set", tt.via, name)
			}
		}
		if tt.via == Endpoint != (len(written) == 0) {
			t.Errorf("%v: %d bundles are written", tt.via, len(written))
		}
		if !slices.ContainsFunc(written, func(b []byte) bool { return strings.Contains(string(b), string(s.authority.PEM())) }) && len(written) > 0 {
			t.Errorf("%v: the authority is in no bundle", tt.via)
		}
	}
}

// TestBadBundle: what the user named and cannot be read stops the start, with its name.
func TestBadBundle(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing.pem")
	_, err := Listen(Options{Environ: []string{"AWS_CA_BUNDLE=" + missing}})
	var bad *authority.BundleError
	if !errors.As(err, &bad) || bad.Setting != "AWS_CA_BUNDLE" || bad.File != missing {
		t.Errorf("AWS_CA_BUNDLE: %v", err)
	}
	s, err := Listen(Options{Environ: []string{"REQUESTS_CA_BUNDLE=" + missing}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.listener.Close()
	if _, err = s.Env(nil); !errors.As(err, &bad) || bad.Setting != "REQUESTS_CA_BUNDLE" {
		t.Errorf("REQUESTS_CA_BUNDLE: %v", err)
	}
	if _, err = Listen(Options{Environ: []string{"HTTPS_PROXY=ftp://x"}}); err == nil || !strings.Contains(err.Error(), "HTTPS_PROXY") {
		t.Errorf("HTTPS_PROXY: %v", err)
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	h := newHosts([]string{"MinIO.test", "s3.test:9000", "10.0.0.1", "[fd00::1]:80"})
	for _, tt := range []struct {
		name, port string
		want       bool
	}{
		{"minio.test", "443", true}, {"bucket.minio.test", "80", true}, {"xminio.test", "443", false}, {"test", "443", false},
		{"s3.test", "9000", true}, {"s3.test", "443", false}, {"10.0.0.1", "1", true}, {"fd00::1", "80", true}, {"fd00::1", "81", false},
	} {
		if got := h.match(tt.name, tt.port); got != tt.want {
			t.Errorf("%s:%s: %v", tt.name, tt.port, got)
		}
	}
	if diff := cmp.Diff([]string{"minio.test", "s3.test", "10.0.0.1", "fd00::1"}, h.names()); diff != "" {
		t.Error(diff)
	}
}
