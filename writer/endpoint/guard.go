package endpoint

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"brs-exec.example/brs-exec/writer/loopback"
)

// foreign are headers that a proxy or a browser adds, and no SDK.
var foreign = []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via", "Origin"}

// admit refuses what no SDK on this machine sends: a request that came through a proxy or from a web page, one that was meant
// for a proxy, and one whose Host is a name. A web page whose name was rebound to 127.0.0.1 still sends its own name. The port
// of Host is not looked at, since the CRT leaves it out and nothing depends on it.
func admit(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Host != "" { // net/http has put this into r.Host, and thrown the header away
		refuse(w, http.StatusForbidden, "Forbidden", "this is not a proxy")
		return false
	}
	if !loopbackHost(r.Host) {
		refuse(w, http.StatusForbidden, "Forbidden", "the Host header must be a loopback address or localhost")
		return false
	}
	for _, name := range foreign {
		if _, ok := r.Header[name]; ok {
			refuse(w, http.StatusForbidden, "Forbidden", "a request with the header "+name+" is refused")
			return false
		}
	}
	return true
}

// ownPeer tells whether the client is a process of our own user, as far as can be known.
func ownPeer(r *http.Request) bool {
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	server, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return err == nil && ok && loopback.CheckPeer(net.TCPAddrFromAddrPort(client), server) == nil
}

// allow refuses every method but one.
func allow(w http.ResponseWriter, r *http.Request, method string) bool {
	if r.Method == method {
		return true
	}
	w.Header().Set("Allow", method)
	refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed", "only "+method+" is answered here")
	return false
}

// loopbackHost accepts localhost and loopback literals, with any port or none.
func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") {
		host = inner[:len(inner)-1]
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// refuse answers in the shape that SDKs put into their own errors, and ends the connection.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header()["Connection"] = ends
	body, _ := json.Marshal(struct{ Code, Message string }{code, message}) // two strings always encode
	writeJSON(w, status, body)
}

// writeJSON sets the type to exactly what aws-sdk-go-v2 compares with before it looks for a Code in an error.
func writeJSON(w http.ResponseWriter, status int, body []byte) error {
	return write(w, status, "application/json", body)
}

func write(w http.ResponseWriter, status int, kind string, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}
