package source

import (
	"io"
	"io/fs"
	"os"
)

// rootFiles are the files of which crypto/x509 reads the first that it can: root_linux.go there.
var rootFiles = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian
	"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora
	"/etc/ssl/ca-bundle.pem",                            // openSUSE
	"/etc/pki/tls/cacert.pem",                           // OpenELEC
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // CentOS
	"/etc/ssl/cert.pem",                                 // Alpine
}

// openRoots opens the file of certificates that crypto/x509 reads.
func openRoots() (io.ReadCloser, error) {
	files := rootFiles
	if name := os.Getenv("SSL_CERT_FILE"); name != "" {
		files = []string{name}
	}
	err := fs.ErrNotExist
	for _, name := range files {
		var info fs.FileInfo
		if info, err = os.Stat(name); err != nil {
			continue
		}
		if !info.Mode().IsRegular() { // a pipe can be read once, and that is Go's
			return nil, fs.ErrInvalid
		}
		var file *os.File
		if file, err = os.Open(name); err == nil {
			return file, nil
		}
	}
	return nil, err
}
