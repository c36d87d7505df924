package authority

import (
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// block is a certificate as far as bundles are concerned.
func block(name string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: []byte(name)}))
}

// names lists the blocks of a bundle.
func names(text []byte) string {
	var all []string
	for b, rest := pem.Decode(text); b != nil; b, rest = pem.Decode(rest) {
		all = append(all, string(b.Bytes))
	}
	return strings.Join(all, " ")
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBundles(t *testing.T) {
	dir := t.TempDir()
	key := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("key")}))
	write(t, dir, map[string]string{
		"system":   "# comment\n" + block("system") + block("system2"),
		"corp":     block("corp"),
		"combined": key + block("corp"),
		"dos":      strings.ReplaceAll(strings.TrimSpace(block("dos")), "\n", "\r\n"),
		"both":     block("system") + block("corp"),
		"dir/b":    block("b"),
		"dir/a":    strings.TrimSpace(block("a")),
		"dir/key":  key,
		"empty":    "",
		"der":      "\x30\x82\x01\x01",
		"key":      key,
	})
	if err := os.Mkdir(filepath.Join(dir, "links"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "corp"), filepath.Join(dir, "links/corp.pem")); err != nil {
		t.Skip(err) // Windows lets not everybody make links
	}
	ours := block("ours")

	type bundle struct{ Content, Variables string }
	// What most tests expect of the variables that none of them sets.
	const (
		perl   = "PERL_LWP_SSL_CA_FILE"
		adding = "NODE_EXTRA_CA_CERTS DENO_CERT"
		usual  = "SSL_CERT_FILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE " + perl + " GDAL_CURL_CA_BUNDLE"
	)
	tests := []struct {
		name     string
		env      string // names of files in place of paths
		profile  string
		noSystem bool
		want     []bundle
		notes    int
		err      string // the setting of the error
	}{
		{name: "nothing set", want: []bundle{{"system system2 ours", usual}, {"ours", adding}}},
		{name: "set to nothing", env: "AWS_CA_BUNDLE= SSL_CERT_FILE=", want: []bundle{{"system system2 ours", usual}, {"ours", adding}}},
		{
			name: "AWS_CA_BUNDLE", env: "AWS_CA_BUNDLE=corp",
			want: []bundle{{"system system2 ours", usual}, {"corp ours", "AWS_CA_BUNDLE"}, {"ours", adding}},
		},
		{
			name: "ca_bundle of the profile", profile: "corp",
			want: []bundle{{"system system2 ours", usual}, {"corp ours", "AWS_CA_BUNDLE"}, {"ours", adding}},
		},
		{
			name: "the variable wins over the profile", env: "AWS_CA_BUNDLE=both", profile: "key",
			want: []bundle{{"system system2 ours", usual}, {"system corp ours", "AWS_CA_BUNDLE"}, {"ours", adding}},
		},
		{
			name: "SSL_CERT_FILE, which curl falls back to, but not Requests", env: "SSL_CERT_FILE=corp",
			want: []bundle{
				{"corp ours", "SSL_CERT_FILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE GDAL_CURL_CA_BUNDLE"}, {"system system2 ours", perl}, {"ours", adding},
			},
		},
		{
			name: "CURL_CA_BUNDLE, which Requests falls back to", env: "CURL_CA_BUNDLE=corp",
			want: []bundle{{"system system2 ours", "SSL_CERT_FILE " + perl}, {"corp ours", "CURL_CA_BUNDLE REQUESTS_CA_BUNDLE GDAL_CURL_CA_BUNDLE"}, {"ours", adding}},
		},
		{
			name: "all of one file", env: "CURL_CA_BUNDLE=corp SSL_CERT_FILE=corp REQUESTS_CA_BUNDLE=corp AWS_CA_BUNDLE=corp PERL_LWP_SSL_CA_FILE=corp NODE_EXTRA_CA_CERTS=corp DENO_CERT=corp GIT_SSL_CAINFO=corp PIP_CERT=corp",
			want: []bundle{{"corp ours", "SSL_CERT_FILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE AWS_CA_BUNDLE " + perl + " " + adding + " GDAL_CURL_CA_BUNDLE GIT_SSL_CAINFO PIP_CERT"}},
		},
		{
			name: "no private key is copied", env: "AWS_CA_BUNDLE=combined",
			want: []bundle{{"system system2 ours", usual}, {"corp ours", "AWS_CA_BUNDLE"}, {"ours", adding}},
		},
		{
			name: "lines of DOS, and no last one", env: "AWS_CA_BUNDLE=dos",
			want: []bundle{{"system system2 ours", usual}, {"dos ours", "AWS_CA_BUNDLE"}, {"ours", adding}},
		},
		{
			name: "a directory", env: "REQUESTS_CA_BUNDLE=dir",
			want: []bundle{{"system system2 ours", "SSL_CERT_FILE CURL_CA_BUNDLE " + perl + " GDAL_CURL_CA_BUNDLE"}, {"a b ours", "REQUESTS_CA_BUNDLE"}, {"ours", adding}},
		},
		{
			name: "a link, in a directory of links", env: "REQUESTS_CA_BUNDLE=links",
			want: []bundle{{"system system2 ours", "SSL_CERT_FILE CURL_CA_BUNDLE " + perl + " GDAL_CURL_CA_BUNDLE"}, {"corp ours", "REQUESTS_CA_BUNDLE"}, {"ours", adding}},
		},
		{name: "no bundle of the system", noSystem: true, want: []bundle{{"ours", "AWS_CA_BUNDLE " + adding}}, notes: 1},
		{
			name: "no bundle of the system but the user's", noSystem: true, env: "SSL_CERT_FILE=corp HTTPS_CA_FILE=both",
			want: []bundle{{"corp ours", "SSL_CERT_FILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE AWS_CA_BUNDLE GDAL_CURL_CA_BUNDLE"}, {"system corp ours", "HTTPS_CA_FILE " + perl}, {"ours", adding}}, notes: 1,
		},
		{
			name: "another program's cannot be read", env: "PIP_CERT=missing GIT_SSL_CAINFO=key",
			want: []bundle{{"system system2 ours", usual}, {"ours", adding}}, notes: 2,
		},
		{name: "a missing one", env: "AWS_CA_BUNDLE=missing", err: "AWS_CA_BUNDLE"},
		{name: "one without a certificate", env: "SSL_CERT_FILE=empty", err: "SSL_CERT_FILE"},
		{name: "one in another format", env: "NODE_EXTRA_CA_CERTS=der", err: "NODE_EXTRA_CA_CERTS"},
		{name: "a key alone", env: "CURL_CA_BUNDLE=key", err: "CURL_CA_BUNDLE"},
		{name: "the profile's", profile: "missing", err: "ca_bundle"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var environ []string
			for _, entry := range strings.Fields(tt.env) {
				name, file, _ := strings.Cut(entry, "=")
				if file != "" {
					file = filepath.Join(dir, file)
				}
				environ = append(environ, name+"="+file)
			}
			profile := tt.profile
			if profile != "" {
				profile = filepath.Join(dir, profile)
			}
			b := bundler{environ: environ, systemFiles: []string{filepath.Join(dir, "missing"), filepath.Join(dir, "system")}}
			if tt.noSystem {
				b.systemFiles = b.systemFiles[:1]
			}
			bundles, notes, err := b.bundles(profile, []byte(ours))
			if tt.err != "" {
				var e *BundleError
				if !errors.As(err, &e) || e.Setting != tt.err || !strings.Contains(e.Error(), dir) || !strings.Contains(e.Hint(), tt.err) {
					t.Fatalf("error %v, want one of %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []bundle
			files := map[string]bool{}
			for _, b := range bundles {
				got = append(got, bundle{names(b.Content), strings.Join(b.Variables, " ")})
				files[b.File] = true
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("bundles (-want +got):\n%s", diff)
			}
			if len(files) != len(bundles) {
				t.Errorf("two bundles have one name: %v", files)
			}
			if len(notes) != tt.notes {
				t.Errorf("notes %q, want %d", notes, tt.notes)
			}
		})
	}
}

// TestSystemDir is a system that has a directory alone.
func TestSystemDir(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"certs/a.pem": block("a"), "certs/b.pem": block("b"), "certs/README": "x"})
	b := bundler{systemDirs: []string{filepath.Join(dir, "missing"), filepath.Join(dir, "certs")}}
	if got := names(b.findSystem()); got != "a b" {
		t.Errorf("found %q", got)
	}
}

func TestRoots(t *testing.T) {
	dir := t.TempDir()
	mine, other := newAuthority(t, domains...), newAuthority(t, domains...)
	write(t, dir, map[string]string{"mine": string(mine.PEM()), "other": string(other.PEM())})
	file := func(name string) string { return filepath.Join(dir, name) }
	tests := []struct {
		name    string
		environ []string
		profile string
		want    *Authority
	}{
		{"none", []string{"SSL_CERT_FILE=" + file("mine")}, "", nil},
		{"the variable", []string{"AWS_CA_BUNDLE=" + file("mine")}, file("other"), mine},
		{"the profile", []string{"AWS_CA_BUNDLE="}, file("other"), other},
	}
	for _, tt := range tests {
		got, err := Roots(tt.environ, tt.profile)
		if err != nil {
			t.Fatal(err)
		}
		if tt.want == nil && got != nil || tt.want != nil && !got.Equal(pool(tt.want)) {
			t.Errorf("%s: other authorities", tt.name)
		}
	}
	if _, err := Roots([]string{"AWS_CA_BUNDLE=" + file("missing")}, ""); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// TestBundleIsReal has crypto/x509 read a bundle of this machine's.
func TestBundleIsReal(t *testing.T) {
	a := newAuthority(t, domains...)
	bundles, _, err := Bundles(nil, "", a.PEM())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bundles {
		if !strings.HasSuffix(string(b.Content), string(a.PEM())) {
			t.Errorf("%s does not end in the authority", b.File)
		}
	}
}

func FuzzCertificates(f *testing.F) {
	f.Add([]byte(block("a") + block("b")))
	f.Add([]byte("-----BEGIN TRUSTED CERTIFICATE-----\nx: y\n\nYQ==\n-----END TRUSTED CERTIFICATE-----"))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nYQ==\n-----END PRIVATE KEY-----\n" + block("a")))
	f.Fuzz(func(t *testing.T, text []byte) {
		once := certificates(text)
		for b, rest := pem.Decode(once); b != nil; b, rest = pem.Decode(rest) {
			if strings.HasSuffix(b.Type, "KEY") {
				t.Errorf("a key is there: %q", once)
			}
		}
		if diff := cmp.Diff(string(once), string(certificates(once))); diff != "" {
			t.Errorf("reading it again changes it (-want +got):\n%s", diff)
		}
	})
}
