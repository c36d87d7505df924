package sign

import (
	"strings"

	"brs-exec.example/brs-exec/writer/sign/services"
)

// direct are the URLs of one region that the command is given for services which the endpoint way cannot serve, by what
// AWS_ENDPOINT_URL_<ID> has for <ID>.
func (s *Server) direct() map[string]string {
	if s.o.Via != Both || s.o.Endpoints[""] != "" {
		return nil
	}
	return services.Direct(s.o.Region)
}

// follow moves a request to such a URL to the host of the region that it was signed for: a client uses the URL that it
// is given in all regions. It tells whether it did.
func (s *Server) follow(e *exchange) bool {
	region := e.signature.Region
	if e.way != wayProxy || e.signature.Asymmetric || region == s.o.Region {
		return false
	}
	for id, given := range s.direct() {
		prefix, found := strings.CutSuffix(e.to.Hostname(), strings.TrimPrefix(given, "https://"))
		if !found || prefix != "" && !strings.HasSuffix(prefix, ".") && !strings.HasSuffix(prefix, "-") {
			continue
		}
		there := services.Direct(region)[id]
		if there == "" || there == given {
			return false
		}
		e.to.Host = joinHost(prefix+strings.TrimPrefix(there, "https://"), "443")
		return true
	}
	return false
}
