package sign

import (
	"net"
	"strings"

	"brs-exec.example/brs-exec/writer/sign/services"
)

// hosts are those of --sign-host.
type hosts []host

type host struct{ name, port string } // port "": any

func newHosts(list []string) (h hosts) {
	for _, one := range list {
		name, port := splitHost(one, "")
		h = append(h, host{name, port})
	}
	return h
}

func (h hosts) names() (names []string) {
	for _, one := range h {
		names = append(names, one.name)
	}
	return names
}

// match tells whether a host is one of them, or below one.
func (h hosts) match(name, port string) bool {
	for _, one := range h {
		if (one.port == "" || one.port == port) && (name == one.name || strings.HasSuffix(name, "."+one.name)) {
			return true
		}
	}
	return false
}

// splitHost takes HOST[:PORT] apart, where HOST can be an address in brackets. The name is in lower case and without the
// root's dot.
func splitHost(s, defaultPort string) (name, port string) {
	name, port, err := net.SplitHostPort(s)
	if err != nil {
		name, port = strings.Trim(s, "[]"), defaultPort
	}
	return strings.TrimSuffix(strings.ToLower(name), "."), port
}

// ends tells whether TLS connections to a host are decrypted here.
func (s *Server) ends(name, port string) bool {
	return s.hosts.match(name, port) || port == "443" && services.Ends(name)
}

// signs tells whether requests to a host are signed.
func (s *Server) signs(scheme, name, port string) bool {
	return s.ends(name, port) || scheme == "http" && port == "80" && services.Ends(name)
}

// isSelf tells whether an address is that of the server's own socket.
func (s *Server) isSelf(name, port string) bool {
	_, own, _ := net.SplitHostPort(s.listener.Addr().String())
	ip := net.ParseIP(name)
	return port == own && (name == "localhost" || ip != nil && (ip.IsLoopback() || ip.IsUnspecified()))
}
