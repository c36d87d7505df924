package sign

import (
	"strings"

	"brs-exec.example/brs-exec/writer/sign/authority"
)

// URL is that of the server: the command's proxy, and its endpoint.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

const (
	endpointURL = "AWS_ENDPOINT_URL"
	// allowHTTP has the object_store crate (delta-rs, DataFusion) take an endpoint without TLS.
	allowHTTP = "AWS_ALLOW_HTTP"
)

// getenv is a variable as the command would have it without this server.
func (s *Server) getenv(name string) string {
	for _, entry := range s.o.Environ {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value
		}
	}
	return ""
}

// Env is what the command needs to come here. Bundles of certificate authorities are written by write, which returns their
// paths. A bundle of the user's that cannot be read is an *[authority.BundleError].
func (s *Server) Env(write func(name string, content []byte) (path string, err error)) ([]string, error) {
	var env []string
	if s.o.Via != Endpoint {
		bundles, notes, err := authority.Bundles(s.o.Environ, s.o.CABundle, s.authority.PEM())
		if err != nil {
			return nil, err
		}
		for _, note := range notes {
			s.lines.once(note)
		}
		for _, b := range bundles {
			path, err := write(b.File, b.Content)
			if err != nil {
				return nil, err
			}
			for _, name := range b.Variables {
				env = append(env, name+"="+path)
			}
		}
		env = append(env, s.proxies.Env(s.listener.Addr().String(), s.domains(), true)...)
		if config := s3cmd(s.getenv, s.listener.Addr().String()); config != nil {
			path, err := write("s3cfg", config)
			if err != nil {
				return nil, err
			}
			env = append(env, s3cmdConfig+"="+path)
		}
	}
	if s.o.Via != Proxy {
		env = append(env, s.endpoints()...)
	}
	return env, nil
}

// endpoints are the variables of the endpoint way: that of all services, and those that the user has set, which would hide it.
func (s *Server) endpoints() []string {
	env := []string{endpointURL + "=" + s.URL(), allowHTTP + "=true"}
	own := map[string]bool{}
	for _, entry := range s.o.Environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, endpointURL+"_") && value != "" {
			own[name] = true
			env = append(env, name+"="+s.URL())
		}
	}
	for id, url := range s.direct() {
		if name := endpointURL + "_" + id; !own[name] {
			env = append(env, name+"="+url)
		}
	}
	return env
}
