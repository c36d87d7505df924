package sign

import (
	"context"
	"crypto/tls"
	"slices"
	"sync"
	"time"
)

// maxHosts bounds what is remembered of hosts.
const maxHosts = 1000

// protocols knows which services speak HTTP/2. A client gets it from us only where it would get it from the service: others
// have a connection for each request under way, whose streams do not share a window.
type protocols struct {
	ask func(ctx context.Context, name, address string) (http2 bool, err error)

	mu    sync.Mutex
	known map[string]*protocol // by HOST:PORT
}

type protocol struct {
	http1 *tls.Config // of the server for clients of this host that get no HTTP/2

	mu           sync.Mutex // held while the service is asked
	asked, http2 bool
	failed       time.Time // when it did not answer last
}

// config returns the TLS configuration for a client of a host. all has both versions of HTTP.
func (p *protocols) config(hello *tls.ClientHelloInfo, name, address string, all *tls.Config) *tls.Config {
	p.mu.Lock()
	one := p.known[address]
	if one == nil {
		if p.known == nil || len(p.known) >= maxHosts {
			p.known = map[string]*protocol{}
		}
		config := all.Clone() // one for all connections, which resume sessions by it
		config.NextProtos = []string{"http/1.1"}
		one = &protocol{http1: config}
		p.known[address] = one
	}
	p.mu.Unlock()
	if !slices.Contains(hello.SupportedProtos, "h2") {
		return one.http1
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	if !one.asked && time.Since(one.failed) > dialTime { // or each client would wait for those before it
		var err error
		one.http2, err = p.ask(hello.Context(), name, address)
		if one.asked = err == nil; !one.asked { // the request will tell what is wrong
			one.failed = time.Now()
		}
	}
	if one.http2 {
		return all
	}
	return one.http1
}

// askHTTP2 connects to a service to see whether it speaks HTTP/2.
func (t *transports) askHTTP2(ctx context.Context, name, address string) (bool, error) {
	conn, err := t.tunnel(ctx, address)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(dialTime))
	secured := tls.Client(conn, &tls.Config{ServerName: name, RootCAs: t.roots, NextProtos: []string{"h2", "http/1.1"}})
	if err := secured.HandshakeContext(ctx); err != nil {
		return false, err
	}
	return secured.ConnectionState().NegotiatedProtocol == "h2", nil
}
