package sign

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"regexp"

	"brs-exec.example/brs-exec/writer/pathsafe"
)

// s3cmdConfig names the configuration file of s3cmd, which reads no variable for a proxy.
const s3cmdConfig = "S3CMD_CONFIG"

// s3cmdProxy is a proxy in it. s3cmd itself writes one without a name.
var s3cmdProxy = regexp.MustCompile(`(?m)^[ \t]*proxy_host[ \t]*=[ \t]*"?[^"\s]`)

// s3cmd returns a configuration of s3cmd with the proxy at address: the user's in this environment,
// if there is one, and two lines at its end, where the last value of a setting counts (S3/Config.py,
// ConfigParser). It returns nil where s3cmd is to be left alone: the user's has a proxy of its own,
// or cannot be read.
func s3cmd(env func(name string) string, address string) []byte {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil
	}
	path := env(s3cmdConfig)
	if path == "" && env("HOME") != "" {
		path = filepath.Join(env("HOME"), ".s3cfg")
	}
	var own []byte
	if path != "" {
		own, err = pathsafe.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) || s3cmdProxy.Match(own) {
			return nil
		}
	}
	return fmt.Appendf(own, "\n[default]\nproxy_host = %s\nproxy_port = %s\n", host, port)
}
