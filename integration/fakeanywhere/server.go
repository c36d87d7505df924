package fakeanywhere

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// Session is credentials that a Handler gives away.
type Session struct {
	AccessKeyID, SecretAccessKey, SessionToken string
	Expires                                    time.Time
}

// Handler is the service's CreateSession for one trust anchor.
type Handler struct {
	Anchor *x509.Certificate
	Region string
	// Issue makes credentials for the role, for whoever has that certificate.
	Issue func(role string, leaf *x509.Certificate) Session
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if why := Verify(r, r.Host, body, h.Anchor, h.Region, time.Now()); why != "" {
		w.Header().Set("X-Amzn-Errortype", "AccessDeniedException:")
		w.WriteHeader(http.StatusForbidden)
		json.NewEncoder(w).Encode(map[string]string{"message": why})
		return
	}
	leaf, err := Certificates(r.Header.Get("X-Amz-X509"))
	if err != nil {
		return // it was verified
	}
	set := h.Issue(r.URL.Query().Get("roleArn"), leaf[0])
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(map[string]any{"credentialSet": []any{map[string]any{
		"assumedRoleUser": map[string]string{"arn": r.URL.Query().Get("roleArn")},
		"credentials": map[string]string{
			"accessKeyId": set.AccessKeyID, "secretAccessKey": set.SecretAccessKey, "sessionToken": set.SessionToken,
			"expiration": set.Expires.UTC().Format(time.RFC3339),
		},
	}}})
}
