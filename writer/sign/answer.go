package sign

import (
	"net/http"
	"net/url"
	"strings"
)

// answer is the handler of all connections.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	s.running.Add(1)
	defer s.running.Done()
	defer func() {
		if v := recover(); v != nil {
			s.lines.bug(v)
			panic(http.ErrAbortHandler) // net/http ends the connection
		}
	}()
	from := originOf(r)
	if from == nil {
		http.Error(w, "brs-exec: unknown connection", http.StatusInternalServerError)
		return
	}
	if err := from.checkPeer(); err != nil {
		s.lines.once("a client of another user was refused", "err", err)
		w.Header().Set("Connection", "close")
		http.Error(w, "brs-exec: "+err.Error(), http.StatusForbidden)
		return
	}
	switch {
	case r.Method == http.MethodConnect && from.host == "":
		s.connect(w, r, from)
	case from.host != "":
		s.answerTunnelled(w, r, from)
	case r.URL.Scheme != "":
		s.answerProxied(w, r)
	default:
		s.serve(w, r, &exchange{way: wayEndpoint, path: r.RequestURI})
	}
}

// answerTunnelled answers a request in a connection after CONNECT.
func (s *Server) answerTunnelled(w http.ResponseWriter, r *http.Request, from *origin) {
	e := &exchange{way: wayProxy, path: r.RequestURI, to: url.URL{Scheme: "https", Host: joinHost(from.host, from.port)}}
	if !from.tls {
		e.to.Scheme = "http"
		if !s.hosts.match(from.host, from.port) {
			s.lines.once("a client speaks plain HTTP to a port for HTTPS", "host", e.to.Host)
			s.refuse(w, r, e, fault("InvalidRequest", "brs-exec: this is plain HTTP to "+e.to.Host+", where TLS is spoken: the client's URL must begin with https://", http.StatusBadRequest))
			return
		}
	}
	s.serve(w, r, e)
}

// answerProxied answers a request whose URL has its host, as proxies for plain HTTP get it.
func (s *Server) answerProxied(w http.ResponseWriter, r *http.Request) {
	port := "80"
	switch r.URL.Scheme {
	case "http":
	case "https":
		port = "443"
	default:
		http.Error(w, "brs-exec: the signing proxy does not know "+r.URL.Scheme+" URLs", http.StatusBadRequest)
		return
	}
	name, port := splitHost(r.URL.Host, port)
	switch {
	case name == "": // "http:path", which would be this machine
		http.Error(w, "brs-exec: a URL without a host", http.StatusBadRequest)
		return
	case s.isSelf(name, port):
		s.refuseLoop(w)
		return
	}
	_, rest, _ := strings.Cut(r.RequestURI, "://")
	path := "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		if path = rest[i:]; path[0] == '?' {
			path = "/" + path
		}
	}
	s.serve(w, r, &exchange{way: wayProxy, path: path, to: url.URL{Scheme: r.URL.Scheme, Host: joinHost(name, port)}})
}

// refuseLoop answers a request to the server's own address, which would go on for ever.
func (s *Server) refuseLoop(w http.ResponseWriter) {
	s.lines.once("a request through the signing proxy to the signing proxy itself was refused", "proxy", s.URL())
	w.Header().Set("Connection", "close")
	http.Error(w, "brs-exec: this is the address of the signing proxy itself", http.StatusLoopDetected)
}
