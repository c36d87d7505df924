package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"brs-exec.example/brs-exec/integration/fakeaws"

	"golang.org/x/sys/unix"
)

// hosts are the names of AWS that the clients call: the regional ones and, for older clients, the
// global ones, and bucket "jobs" in the host.
var hosts = []string{
	"sts." + region + ".amazonaws.com", "sts.amazonaws.com",
	"dynamodb." + region + ".amazonaws.com",
	"s3." + region + ".amazonaws.com", "s3.amazonaws.com",
	"jobs.s3." + region + ".amazonaws.com", "jobs.s3.amazonaws.com",
	"s3.dualstack." + region + ".amazonaws.com", "jobs.s3.dualstack." + region + ".amazonaws.com",
}

// bundle is the certificates that this system trusts, as Debian has them.
const bundle = "/etc/ssl/certs/ca-certificates.crt"

// becomeAWS has the server answer to AWS's own names, over TLS, with a certificate that this
// system trusts: in the mount namespace of this process alone.
func (w *world) becomeAWS() error {
	authority, err := fakeaws.NewAuthority()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:443")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	w.server.ServeTLS(listener, authority.Config())
	trusted, err := os.ReadFile(bundle)
	if err != nil {
		return err
	}
	var names bytes.Buffer
	names.WriteString("127.0.0.1 localhost\n::1 localhost\n")
	for _, name := range hosts {
		fmt.Fprintf(&names, "127.0.0.1 %s\n", name)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount namespace: %w", err)
	}
	for path, content := range map[string][]byte{
		"/etc/hosts": names.Bytes(),
		bundle:       append(append(trusted, '\n'), authority.PEM()...),
	} {
		file := w.path(filepath.Base(path))
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return err
		}
		if err := unix.Mount(file, path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount %s: %w", path, err)
		}
	}
	return nil
}
