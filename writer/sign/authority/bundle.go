package authority

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// A Bundle is a file of certificate authorities, and the variables that have to name it.
type Bundle struct {
	File      string // the file's name, without a directory
	Content   []byte // PEM
	Variables []string
}

// A BundleError means that a file of authorities that the user named is of no use.
type BundleError struct {
	Setting string // the variable, or ca_bundle
	File    string
	Err     error
}

func (e *BundleError) Error() string { return fmt.Sprintf("%s: %s: %v", e.Setting, e.File, e.Err) }
func (e *BundleError) Unwrap() error { return e.Err }

// Hint says what helps.
func (e *BundleError) Hint() string {
	if e.Setting == caBundle {
		return "correct ca_bundle of the profile: it names a file of certificates in PEM format"
	}
	return "correct or unset " + e.Setting + ": it names a file of certificates in PEM format"
}

// caBundle is the setting of a profile that AWS_CA_BUNDLE stands for.
const caBundle = "ca_bundle"

// A variable names a bundle.
type variable struct {
	name string
	kind kind
	// What the programs that read it use where it is not set: the bundle of another variable, or
	// (system) the authorities of the system or of their own; several where programs differ.
	otherwise []string
}

type kind int

const (
	replaces kind = iota // what a program trusts otherwise
	adds                 // to what a program trusts
	named                // replaces, and is changed only where the user has set it: where not, another one does
)

// Variables that others refer to.
const (
	system       = ""
	awsCABundle  = "AWS_CA_BUNDLE"
	sslCertFile  = "SSL_CERT_FILE"
	curlCABundle = "CURL_CA_BUNDLE"
)

// variables are those that programs which speak to AWS read. Where that is written:
//
//   - AWS_CA_BUNDLE: "AWS SDKs and Tools Reference Guide", General configuration; in its place botocore uses
//     authorities of its own (session.py, get_config_variable), and Go's SDK crypto/x509. It is changed where it
//     is set already. Where not, it would end programs on Go's SDKs that bring an HTTP client (rclone, as measured:
//     aws-sdk-go/aws/session, ErrCodeLoadCustomCABundle; aws-sdk-go-v2/config, resolveCustomCABundle), and all
//     others go by a variable below: botocore by REQUESTS_CA_BUNDLE (args.py, endpoint.py).
//   - SSL_CERT_FILE: OpenSSL, SSL_CTX_set_default_verify_paths(3), and so Python, Ruby, .NET and Perl; Go,
//     crypto/x509 (not on macOS and Windows); Rust, crates openssl-probe and rustls-native-certs.
//   - CURL_CA_BUNDLE: curl(1), and in its place SSL_CERT_FILE.
//   - REQUESTS_CA_BUNDLE: Requests, "Advanced Usage", SSL Cert Verification; in its place CURL_CA_BUNDLE.
//   - NODE_EXTRA_CA_CERTS: Node.js, "Command-line API". DENO_CERT: Deno, "Environment variables".
//   - GDAL_CURL_CA_BUNDLE: GDAL, "Configuration options"; in its place CURL_CA_BUNDLE, but rasterio sets it to
//     certifi's authorities where it is not set (_env.pyx).
//   - GIT_SSL_CAINFO: git-config(1), http.sslCAInfo. CARGO_HTTP_CAINFO: The Cargo Book, http.cainfo.
//     PIP_CERT: pip, --cert. NPM_CONFIG_CAFILE: npm, cafile. They fetch from CodeArtifact and S3.
//   - PERL_LWP_SSL_CA_FILE: LWP::UserAgent, and in its place HTTPS_CA_FILE. Debian's LWP has no eye for SSL_CERT_FILE.
//   - HTTPLIB2_CA_CERTS: httplib2/certs.py. NIX_SSL_CERT_FILE: Nixpkgs manual, cacert.
var variables = []variable{
	{sslCertFile, replaces, []string{system}},
	{curlCABundle, replaces, []string{sslCertFile}},
	{"REQUESTS_CA_BUNDLE", replaces, []string{curlCABundle}},
	{awsCABundle, replaces, []string{system, sslCertFile}},
	{"HTTPS_CA_FILE", named, []string{system}},
	{"PERL_LWP_SSL_CA_FILE", replaces, []string{"HTTPS_CA_FILE"}},
	{"NODE_EXTRA_CA_CERTS", adds, nil},
	{"DENO_CERT", adds, nil},
	{"GDAL_CURL_CA_BUNDLE", replaces, []string{curlCABundle}},
	{"GIT_SSL_CAINFO", named, nil},
	{"CARGO_HTTP_CAINFO", named, nil},
	{"PIP_CERT", named, nil},
	{"NPM_CONFIG_CAFILE", named, nil},
	{"npm_config_cafile", named, nil},
	{"HTTPLIB2_CA_CERTS", named, nil},
	{"NIX_SSL_CERT_FILE", named, nil},
}

// systemFiles and systemDirs are where systems have their authorities, in the order of crypto/x509
// (root_linux.go, root_bsd.go), and the first that is there is taken. macOS has /etc/ssl/cert.pem.
var (
	systemFiles = []string{
		"/etc/ssl/certs/ca-certificates.crt",                // Debian, Alpine, Arch
		"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL, Amazon Linux
		"/etc/ssl/ca-bundle.pem",                            // SUSE
		"/etc/pki/tls/cacert.pem",                           // OpenELEC
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // CentOS 7
		"/usr/local/etc/ssl/cert.pem",                       // FreeBSD
		"/etc/ssl/cert.pem",                                 // macOS, OpenBSD, Alpine without ca-certificates
		"/usr/local/share/certs/ca-root-nss.crt",            // DragonFly
		"/etc/openssl/certs/ca-certificates.crt",            // NetBSD
	}
	systemDirs = []string{"/etc/ssl/certs", "/etc/pki/tls/certs", "/usr/local/share/certs", "/etc/openssl/certs"}
)

// Bundles returns the files of authorities that a command with this environment needs to trust
// another one (its certificate in PEM), and adds it to whatever its programs trust already. Nothing
// that they trust is lost, and nothing but it is added: a variable that is set keeps the content of
// its file, and one that is not gets what its programs use in its place. profileBundle is the
// ca_bundle of the command's profile, which AWS_CA_BUNDLE would hide, "" for none. The files of
// bundles with the same content are one. Notes are lines for the log.
//
// A file of the user's that cannot be used is a *BundleError.
func Bundles(environ []string, profileBundle string, authority []byte) (bundles []Bundle, notes []string, err error) {
	b := bundler{environ: environ, systemFiles: systemFiles, systemDirs: systemDirs}
	return b.bundles(profileBundle, authority)
}

// Check returns the *BundleError that Bundles would return, if any.
func Check(environ []string, profileBundle string) error {
	b := bundler{environ: environ}
	for _, v := range variables {
		if setting, file := b.user(v, profileBundle); file != "" && v.kind != named {
			if _, err := b.userBundle(setting, file); err != nil {
				return err
			}
		}
	}
	return nil
}

// Roots returns what the AWS SDKs of this environment trust, nil for the authorities of the
// system.
func Roots(environ []string, profileBundle string) (*x509.CertPool, error) {
	setting, file := lookup(environ, awsCABundle)
	if file == "" {
		setting, file = caBundle, profileBundle
	}
	if file == "" {
		return nil, nil
	}
	content, err := (&bundler{}).userBundle(setting, file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(content)
	return roots, nil
}

// bundler makes the bundles for one environment.
type bundler struct {
	environ                 []string
	systemFiles, systemDirs []string
	system                  []byte // nil if there is none

	// To decode a system's authorities takes milliseconds, and most variables have the same.
	files  map[string][]byte // certificates by path
	others map[string][]byte // what stands for a variable that is not set
}

// user returns the file that the user named for a variable, "" for none, and by which setting.
func (b *bundler) user(v variable, profileBundle string) (setting, file string) {
	if _, file = lookup(b.environ, v.name); file == "" && v.name == awsCABundle {
		return caBundle, profileBundle
	}
	return v.name, file
}

func (b *bundler) bundles(profileBundle string, authority []byte) (bundles []Bundle, notes []string, err error) {
	if b.system = b.findSystem(); b.system == nil {
		notes = append(notes, "this system has no bundle of certificate authorities: only programs that read AWS_CA_BUNDLE, NODE_EXTRA_CA_CERTS or DENO_CERT, or a variable that you set, trust the signing proxy")
	}
	for _, v := range variables {
		var content []byte
		setting, file := b.user(v, profileBundle)
		switch {
		case file != "":
			content, err = b.userBundle(setting, file)
			if err != nil && v.kind == named {
				notes = append(notes, err.Error()+": programs that read it do not trust the signing proxy")
				continue
			}
		case v.kind == named, v.name == awsCABundle && b.system != nil:
			continue
		case v.kind == replaces:
			content, err = b.otherwise(v)
			if err == nil && content == nil && v.name != awsCABundle {
				continue // its programs would trust nothing else
			}
		}
		if err != nil {
			return nil, nil, err
		}
		bundles = add(bundles, v.name, slices.Concat(content, authority))
	}
	return bundles, notes, nil
}

// add has a variable name a bundle with this content.
func add(bundles []Bundle, variable string, content []byte) []Bundle {
	for i := range bundles {
		if bytes.Equal(bundles[i].Content, content) {
			bundles[i].Variables = append(bundles[i].Variables, variable)
			return bundles
		}
	}
	name := "ca-" + strings.ReplaceAll(strings.ToLower(variable), "_", "-") + ".pem"
	return append(bundles, Bundle{File: name, Content: content, Variables: []string{variable}})
}

// otherwise returns what the programs that read a variable trust where it is not set, nil if that is
// not known.
func (b *bundler) otherwise(v variable) (content []byte, err error) {
	if content, ok := b.others[v.name]; ok {
		return content, nil
	}
	for _, name := range v.otherwise {
		one := b.system
		if name != system {
			of := variables[slices.IndexFunc(variables, func(v variable) bool { return v.name == name })]
			if _, file := lookup(b.environ, name); file != "" {
				one, err = b.userBundle(name, file)
			} else {
				one, err = b.otherwise(of)
			}
			if err != nil {
				return nil, err
			}
		}
		content = append(content, one...)
	}
	if len(v.otherwise) > 1 {
		content = certificates(content) // each once
	}
	if b.others == nil {
		b.others = map[string][]byte{}
	}
	b.others[v.name] = content
	return content, nil
}

// findSystem returns the authorities of the system, nil if there are none to be found.
func (b *bundler) findSystem() []byte {
	for _, file := range b.systemFiles {
		if content, err := b.userBundle("", file); err == nil {
			return content
		}
	}
	for _, dir := range b.systemDirs {
		if content, err := readBundle(dir); err == nil {
			return content
		}
	}
	return nil
}

// userBundle reads a bundle that the user named, or that a system has, once.
func (b *bundler) userBundle(setting, file string) ([]byte, error) {
	if content, ok := b.files[file]; ok {
		return content, nil
	}
	content, err := readBundle(file)
	if err != nil {
		return nil, &BundleError{setting, file, err}
	}
	if b.files == nil {
		b.files = map[string][]byte{}
	}
	b.files[file] = content
	return content, nil
}

// errNoCertificate: a program that reads it would trust nobody.
var errNoCertificate = errors.New("has no certificate in PEM format")

// maxFiles bounds what is read of a directory.
const maxFiles = 10_000

// readBundle returns the certificates of a file, or of the files in a directory (Requests and
// OpenSSL take one as well), in PEM format. It waits for no pipe.
func readBundle(path string) ([]byte, error) {
	text, err := pathsafe.ReadFile(path)
	if errors.Is(err, pathsafe.ErrNotRegular) {
		if info, e := os.Stat(path); e == nil && info.IsDir() {
			text, err = readDir(path)
		}
	}
	if err != nil {
		return nil, pathsafe.Reason(err)
	}
	if text = certificates(text); len(text) == 0 {
		return nil, errNoCertificate
	}
	return text, nil
}

// readDir returns the files of a directory, one after the other. Those that cannot be read are left
// out, as OpenSSL does.
func readDir(path string) ([]byte, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxFiles)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	slices.Sort(names)
	var all []byte
	for _, name := range names {
		text, err := pathsafe.ReadFile(filepath.Join(path, name))
		if err == nil {
			all = append(append(all, text...), '\n')
		}
		if len(all) > maxDir {
			return nil, fmt.Errorf("its files are longer than %d MiB together", maxDir>>20)
		}
	}
	return all, nil
}

// maxDir bounds the bytes of a directory.
const maxDir = 16 << 20

const certificateBlock = "CERTIFICATE"

// certificates returns what of a text in PEM format says whom to trust, each once: not a private
// key, which some have in the same file.
func certificates(text []byte) []byte {
	var b bytes.Buffer
	seen := map[string]bool{}
	found := false
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		isCertificate := strings.HasSuffix(block.Type, certificateBlock) // also X509 CERTIFICATE, TRUSTED CERTIFICATE
		if key := block.Type + string(block.Bytes); (isCertificate || block.Type == "X509 CRL") && !seen[key] {
			seen[key] = true
			found = found || isCertificate
			pem.Encode(&b, &pem.Block{Type: block.Type, Bytes: block.Bytes}) // a buffer takes all
		}
	}
	if !found {
		return nil
	}
	return b.Bytes()
}
