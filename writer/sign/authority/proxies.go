package authority

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpproxy"
)

// Proxies are those that a user's variables name: https_proxy, http_proxy, all_proxy and no_proxy,
// in this spelling before the one in capitals, as curl, Python and Node.js have it.
type Proxies struct {
	environ []string
	find    func(*url.URL) (*url.URL, error)
}

// NewProxies reads the variables of an environment. The error names the variable of a proxy that
// cannot be one, and not its value, which may have a password.
func NewProxies(environ []string) (*Proxies, error) {
	https, err := proxy(environ, "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
	if err != nil {
		return nil, err
	}
	http, err := proxy(environ, "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
	if err != nil {
		return nil, err
	}
	_, list := lookup(environ, "no_proxy", "NO_PROXY")
	config := httpproxy.Config{HTTPSProxy: https, HTTPProxy: http, NoProxy: strings.Join(strings.FieldsFunc(list, isSeparator), ",")}
	return &Proxies{environ, config.ProxyFunc()}, nil
}

// proxy returns the URL of the proxy that the first of the variables names.
func proxy(environ []string, names ...string) (string, error) {
	name, value := lookup(environ, names...)
	if value == "" {
		return "", nil
	}
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Hostname() == "":
		return "", fmt.Errorf("%s is not the URL of a proxy", name)
	case !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme):
		return "", fmt.Errorf("%s names a proxy of a kind that is not supported (%s): use http, https, socks5 or socks5h", name, u.Scheme)
	}
	return value, nil
}

// URL returns the proxy by which a URL (its scheme, host and port) is reached, nil if directly. Its
// signature is that of [net/http.Transport]'s Proxy, but for the argument.
func (p *Proxies) URL(u *url.URL) (*url.URL, error) { return p.find(u) }

// Env returns the variables that have a command go through the proxy at address (HOST:PORT) for
// HTTPS, instead of the user's, and for requests to itself past all of them. domains are those that
// must go through it: no_proxy does not name them any more. With plain it is the proxy for HTTP
// as well; otherwise the user's stays, as long as no_proxy does not have to lose an entry that holds
// for it, too. What is taken out of no_proxy has to be honoured by the proxy at address, by URL.
func (p *Proxies) Env(address string, domains []string, plain bool) []string {
	ours := "http://" + address
	var env []string
	set := func(name, value string) { env = append(env, name+"="+value) }

	set("HTTPS_PROXY", ours)
	set("https_proxy", ours)

	// Programs read one of the two spellings, or one of them first: a new one alone would hide
	// the other.
	_, upper := lookup(p.environ, "NO_PROXY", "no_proxy")
	_, lower := lookup(p.environ, "no_proxy", "NO_PROXY")
	lost := false
	for _, v := range [][2]string{{"NO_PROXY", upper}, {"no_proxy", lower}} {
		list, changed := bypass(v[1], domains)
		lost = lost || changed
		set(v[0], list)
	}

	for _, name := range []string{"HTTP_PROXY", "http_proxy"} {
		if _, theirs := lookup(p.environ, name, "all_proxy", "ALL_PROXY"); plain || lost && theirs != "" {
			set(name, ours)
		}
	}
	if everything(upper) || everything(lower) {
		for _, name := range []string{"ALL_PROXY", "all_proxy"} {
			if _, theirs := lookup(p.environ, name); theirs != "" {
				set(name, "") // nothing went through it
			}
		}
	}
	if name, _ := lookup(p.environ, "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"); name == "" {
		// Node.js from 22.21 and 24.0 on takes no proxy without ("Command-line API"; older ones do not
		// know the variable). With a proxy of the user's it is the user's to say, as Node.js
		// would take that for all hosts.
		set("NODE_USE_ENV_PROXY", "1")
	}
	return env
}

// itself are the entries of no_proxy for this machine.
var itself = []string{"127.0.0.1", "localhost", "::1"}

// bypass returns a no_proxy list without the entries that hold for hosts of the domains, and with the
// ones for this machine; lost tells whether an entry was taken out. All other bytes stay.
func bypass(list string, domains []string) (kept string, lost bool) {
	var entries []string
	for item := range strings.SplitSeq(list, ",") {
		words := strings.Fields(item) // curl takes blanks between entries
		stay := slices.DeleteFunc(slices.Clone(words), func(word string) bool {
			return slices.ContainsFunc(domains, func(domain string) bool { return covers(word, domain) })
		})
		if len(stay) < len(words) {
			lost = true
			item = strings.Join(stay, " ")
		}
		if strings.TrimSpace(item) != "" {
			entries = append(entries, item)
		}
	}
	for _, host := range itself {
		if !slices.ContainsFunc(entries, func(e string) bool { return slices.Contains(strings.Fields(e), host) }) {
			entries = append(entries, host)
		}
	}
	return strings.Join(entries, ","), lost
}

// everything tells whether a no_proxy list has all hosts bypass proxies.
func everything(list string) bool { return slices.Contains(strings.FieldsFunc(list, isSeparator), "*") }

func isSeparator(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' }

// covers tells whether an entry of no_proxy could hold for the domain (a DNS name or an IP address) or a
// host below it, by the rules of any program: some compare the ends of names, whether that is between
// two labels or not (Requests, Wget), some know wildcards, and a port may follow.
func covers(entry, domain string) bool {
	entry, domain = strings.ToLower(entry), canonical(domain)
	if ip, err := netip.ParseAddr(domain); err == nil {
		return entry == "*" || coversIP(entry, ip)
	}
	if _, err := netip.ParsePrefix(entry); err == nil {
		return false
	}
	name := entry
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		name = name[:i]
	}
	if isIP(entry) || isIP(name) {
		return false
	}
	if i := strings.LastIndexByte(name, '*'); i >= 0 {
		if i == len(name)-1 && name != "*" && name[0] >= '0' && name[0] <= '9' {
			return false // 10.*
		}
		name = name[i+1:]
	}
	name = strings.Trim(name, ".")
	return strings.HasSuffix(domain, name) || strings.HasSuffix(name, "."+domain) || name == domain
}

// coversIP is covers for an address.
func coversIP(entry string, ip netip.Addr) bool {
	if strings.HasSuffix(ip.String(), strings.TrimLeft(entry, ".")) {
		return true
	}
	if prefix, err := netip.ParsePrefix(entry); err == nil {
		return prefix.Contains(ip)
	}
	if a, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
		return a.Unmap() == ip
	}
	if a, err := netip.ParseAddrPort(entry); err == nil {
		return a.Addr().Unmap() == ip
	}
	before, _, wildcard := strings.Cut(entry, "*")
	return wildcard && strings.HasPrefix(ip.String(), before) // 10.*
}

func isIP(s string) bool {
	_, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return err == nil
}
