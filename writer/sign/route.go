package sign

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"

	"brs-exec.example/brs-exec/writer/sign/services"
)

// proxyWay is what helps a request that has come by the endpoint way and cannot go on.
const proxyWay = "use the proxy way (--sign-via proxy)"

// route finds out where a request of the endpoint way goes. scope is the region to sign it for there, "" for the one
// that it was signed for.
func (s *Server) route(r *http.Request, e *exchange, known bool) (scope string, err error) {
	region := s.o.Region
	switch {
	case known:
		region = regionOf(e.signature)
	case e.signature != nil:
		return "", fault("InvalidClientTokenId", "brs-exec: the request was signed with the key "+e.signature.KeyID+
			", which is none of the local ones, and was signed for this address: "+proxyWay, http.StatusForbidden)
	default:
		if e.service, err = unsignedService(r, e); err != nil {
			return "", s.bodyFault(err)
		}
		if e.service == "" {
			return "", fault("AccessDenied", "brs-exec: the request is not signed, so that its service is not known: "+proxyWay, http.StatusForbidden)
		}
	}
	for _, name := range []string{e.service, ""} {
		if endpoint := s.o.Endpoints[name]; endpoint != "" {
			u, err := url.Parse(endpoint)
			if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
				return "", fault("ServiceUnavailable", "brs-exec: the endpoint URL that is configured for the service is no URL of HTTP", http.StatusServiceUnavailable)
			}
			e.to = *u
			if name, port := splitHost(u.Host, "80"); s.isSelf(name, port) {
				return "", fault("ServiceUnavailable", "brs-exec: the endpoint URL that is configured for the service is the signing proxy itself", http.StatusLoopDetected)
			}
			return "", nil
		}
	}
	host, scope, err := services.Host(e.service, region, services.Target(r))
	if err != nil {
		return "", fault("InvalidRequest", "brs-exec: "+err.Error(), http.StatusBadRequest)
	}
	e.to = url.URL{Scheme: "https", Host: joinHost(host, "443")}
	return scope, nil
}

// unsignedService returns the signing name of the service of a request that bears no signature, for those with which clients get
// credentials; "" if it is none of them.
func unsignedService(r *http.Request, e *exchange) (string, error) {
	switch {
	case strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AWSCognitoIdentityService."):
		return "cognito-identity", nil
	case strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AWSCognitoIdentityProviderService."):
		return "cognito-idp", nil // users who sign in
	case r.Header.Get("X-Amz-Sso_bearer_token") != "":
		return "awsssoportal", nil
	}
	form, _ := url.ParseQuery(e.sent.Query)
	action := form.Get("Action")
	if kind := r.Header.Get("Content-Type"); action == "" && strings.HasPrefix(kind, "application/x-www-form-urlencoded") && r.ContentLength <= inMemory {
		body, err := io.ReadAll(io.LimitReader(r.Body, inMemory))
		if err != nil {
			return "", err
		}
		r.Body = &readCloser{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
		form, _ = url.ParseQuery(string(body))
		action = form.Get("Action")
	}
	if strings.HasPrefix(action, "AssumeRoleWith") {
		return "sts", nil
	}
	return "", nil
}
