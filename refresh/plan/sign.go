package plan

import (
	"cmp"
	"errors"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"brs-exec.example/brs-exec/writer"
	"brs-exec.example/brs-exec/writer/sign/authority"
	"brs-exec.example/brs-exec/writer/sign/services"
)

// Sign is what is about --deliver sign, and rehearsals, alone.
type Sign struct {
	Only  services.Limits // what the command may use
	Hosts []string        // HOST or HOST:PORT, lower case; an IPv6 address with a port is in brackets
	Via   string          // both, proxy or endpoint
}

// sign reads it, and refuses what would get around it.
func (p *Plan) sign(v *Settings) (err error) {
	if !p.Deliver.Sign && !v.trial {
		if flag := v.first(flagSignOnly, flagSignHost, flagSignVia); flag != nil && !v.keep {
			return wrong(flag, "add --deliver sign", "needs --deliver sign")
		}
		return nil
	}
	if v.has(flagCredentialsFile) {
		return wrong(flagCredentialsFile, "leave it out; brs-exec keep --credentials-file FILE is a run of its own, for other programs",
			"has no use for the keys of --deliver sign: they work in this command alone")
	}
	s := &p.Sign
	if only := flagSignOnly.of(v); len(only) > 0 {
		if s.Only, err = services.ParseLimits(strings.Join(only, ",")); err != nil {
			return wrong(flagSignOnly, "write it as s3,sqs@eu-west-1", "%v", err)
		}
	}
	for _, host := range flagSignHost.of(v) {
		known, ok := hostOf(host)
		if !ok {
			return wrong(flagSignHost, "the name alone, as in s3.example.com or minio.internal:9000; its subdomains are meant as well", "%q: not HOST or HOST:PORT", host)
		}
		s.Hosts = append(s.Hosts, known)
	}
	switch s.Via = cmp.Or(flagSignVia.of(v), flagSignVia.Default); s.Via {
	case "both", "proxy", "endpoint":
		return nil
	}
	return wrong(flagSignVia, flagSignVia.oneOf(), "%q: no such way", s.Via)
}

// hostOf reads the name or the address of a host, with a port or without.
func hostOf(s string) (string, bool) {
	host := strings.ToLower(s)
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.String(), true
	}
	name, port, err := net.SplitHostPort(host)
	if err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", false
		}
		if ip, err := netip.ParseAddr(name); err == nil {
			return net.JoinHostPort(ip.String(), port), true
		}
	} else {
		name = host
	}
	if len(name) > 253 || strings.Trim(name, "0123456789.") == "" {
		return "", false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" || strings.HasPrefix(label, "-") {
			return "", false
		}
	}
	return host, true
}

// SignSetup is what the listener is told of the user's settings.
type SignSetup struct {
	Via       string            // as in [Sign]
	Hosts     []string          // those of [Sign], and of the endpoints
	Endpoints map[string]string // URLs by signing name; that of "" is for all other services
	CABundle  string            // ca_bundle of the command's profile; "" for none
	variables map[string]string // with an endpoint that the command is to have all the same; "" is the listener
}

// Env returns the variables with endpoints that the command needs where the proxy is the only
// way. url is that of the listener, which is the endpoint in place of those on loopback: clients
// ask no proxy for these.
func (s *SignSetup) Env(url string) (env []string) {
	for _, name := range slices.Sorted(maps.Keys(s.variables)) {
		env = append(env, name+"="+cmp.Or(s.variables[name], url))
	}
	return env
}

// SignSetup makes it of the settings in the environment and the command's profile. It
// returns an error about what would keep the command's requests from the listener, or the
// listener from AWS. It changes nothing.
func (p *Plan) SignSetup(of writer.ClientSettings, environ []string) (s SignSetup, err error) {
	s = SignSetup{Via: p.Sign.Via, Hosts: slices.Clone(p.Sign.Hosts), CABundle: of.CABundle, Endpoints: map[string]string{}}
	if of.NoEndpoint != "" {
		if s.Via == "endpoint" {
			return s, wrong(flagSignVia, "--sign-via proxy", "endpoint: with %s SDKs refuse an endpoint of their own", of.NoEndpoint)
		}
		s.Via = "proxy"
	}
	if s.Via == "proxy" {
		s.variables = map[string]string{}
	}
	for _, id := range slices.Sorted(maps.Keys(of.Endpoints)) {
		address := of.Endpoints[id]
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return s, wrong(nil, "write it with its scheme, as in https://s3.example.com", "%s: %q is not the address of a server", endpointSetting(id), address)
		}
		loopback := isLoopback(u.Hostname())
		if s.variables != nil {
			variable := strings.TrimSuffix("AWS_ENDPOINT_URL_"+id, "_")
			if s.variables[variable] = address; loopback {
				s.variables[variable] = ""
			}
		}
		if !loopback && !slices.Contains(s.Hosts, u.Host) && !(u.Scheme == "https" && services.Ends(u.Hostname())) {
			s.Hosts = append(s.Hosts, u.Host)
		}
		name, known := "", id == ""
		if !known {
			name, known = services.SigningName(id)
		}
		if !known {
			name = strings.ToLower(strings.ReplaceAll(id, "_", "-"))
		}
		// Several services sign with one name: the one that has it for its id is the main one.
		if s.Endpoints[name] == "" || strings.EqualFold(name, id) {
			s.Endpoints[name] = address
		}
	}
	if _, err := authority.NewProxies(environ); err != nil {
		return s, wrong(nil, "correct or unset it", "%v", err)
	}
	var bundle *authority.BundleError
	if err := authority.Check(environ, of.CABundle); errors.As(err, &bundle) {
		return s, wrong(nil, bundle.Hint(), "%v", err)
	} else if err != nil {
		return s, err
	}
	return s, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// endpointSetting is what the user may have set for a service.
func endpointSetting(id string) string {
	if id == "" {
		return "AWS_ENDPOINT_URL or endpoint_url"
	}
	return "AWS_ENDPOINT_URL_" + id + " or endpoint_url"
}
