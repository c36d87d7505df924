package endpoint

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	ttlHeader     = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
	sessionHeader = "X-Aws-Ec2-Metadata-Token"
	maxTTL        = 21600 // seconds; EC2's own limit
)

// sessions makes and checks IMDS session tokens without keeping any: a token is its own expiry under a key that lasts as long as
// this process. botocore takes a new token at every refresh and throws it away, so a table of six hours' tokens would have
// to be bounded, and a bound can be filled by one client at the expense of all others.
type sessions struct {
	key []byte
}

func newSessions() *sessions {
	key := make([]byte, sha256.Size)
	rand.Read(key) // never fails: it ends the program rather than return weak bytes
	return &sessions{key: key}
}

// answer is PUT /latest/api/token.
func (s *sessions) answer(w http.ResponseWriter, r *http.Request) {
	sent := r.Header[ttlHeader]
	ttl := 0
	if len(sent) == 1 && !strings.HasPrefix(sent[0], "+") {
		ttl, _ = strconv.Atoi(sent[0]) // what is no number is out of range as well
	}
	if ttl < 1 || ttl > maxTTL {
		refuse(w, http.StatusBadRequest, "BadRequest", ttlHeader+" must be between 1 and "+strconv.Itoa(maxTTL))
		return
	}
	w.Header().Set(ttlHeader, strconv.Itoa(ttl))
	write(w, http.StatusOK, "text/plain", []byte(s.issue(time.Now().Add(time.Duration(ttl)*time.Second))))
}

// issue returns a token that is good until it expires.
func (s *sessions) issue(expiry time.Time) string {
	stamp := binary.BigEndian.AppendUint64(nil, uint64(expiry.UnixNano()))
	return base64.RawURLEncoding.EncodeToString(append(stamp, s.sum(stamp)...))
}

// valid compares in constant time, and reads the expiry only of a token of its own.
func (s *sessions) valid(token string, now time.Time) bool {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != 8+sha256.Size {
		return false
	}
	stamp := raw[:8]
	return hmac.Equal(raw[8:], s.sum(stamp)) && now.UnixNano() < int64(binary.BigEndian.Uint64(stamp))
}

func (s *sessions) sum(stamp []byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write(stamp)
	return mac.Sum(nil)
}
