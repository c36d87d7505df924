package source

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"brs-exec.example/brs-exec/refresh"
)

// period is how long a code is shown, with the devices that AWS supports.
const period = 30 * time.Second

// totp makes the codes of a virtual MFA device: RFC 6238.
type totp struct {
	secret []byte
	period time.Duration
	digits int
	hash   func() hash.Hash
	once   bool // the file cannot be read again
}

// at is the code at a time.
func (t *totp) at(now time.Time) string {
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(now.Unix()/int64(t.period/time.Second)))
	mac := hmac.New(t.hash, t.secret)
	mac.Write(counter[:])
	sum := mac.Sum(nil)
	// RFC 4226 section 5.3: 31 bits, from where the last four say.
	offset := sum[len(sum)-1] & 0xf
	n := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	mod := uint32(1)
	for range t.digits {
		mod *= 10
	}
	return fmt.Sprintf("%0*d", t.digits, n%mod)
}

// openTOTP reads a secret from a file that no one else may read, or once from a
// pipe such as /dev/fd/3.
func openTOTP(path string) (*totp, error) {
	fail := func(hint, format string, args ...any) error {
		return refresh.Permanentf(hint, "TOTP file %s: %s", path, fmt.Sprintf(format, args...))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fail("", "%v", deepest(err))
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fail("", "%v", deepest(err))
	}
	if mode := info.Mode(); runtime.GOOS != "windows" && mode.IsRegular() && mode.Perm()&0o077 != 0 {
		return nil, fail("chmod 600 "+path, "others may read it (mode %04o)", mode.Perm())
	}
	text, err := io.ReadAll(io.LimitReader(file, 4096))
	if err != nil {
		return nil, fail("", "%v", deepest(err))
	}
	t, err := parseTOTP(string(text))
	if err != nil {
		return nil, fail("it must hold the secret that AWS shows beside the QR code (base32), or an otpauth:// URI", "%v", err)
	}
	t.once = !info.Mode().IsRegular()
	return t, nil
}

// parseTOTP reads a secret in base32, or a URI as QR codes have it:
// github.com/google/google-authenticator/wiki/Key-Uri-Format. Errors hold nothing of it.
func parseTOTP(text string) (*totp, error) {
	t := &totp{period: period, digits: 6, hash: sha1.New}
	text = strings.TrimSpace(text)
	if len(text) >= 10 && strings.EqualFold(text[:10], "otpauth://") {
		secret, err := t.uri(text)
		if err != nil {
			return nil, err
		}
		text = secret
	}
	text = strings.NewReplacer(" ", "", "-", "", "=", "").Replace(strings.ToUpper(text))
	if text == "" {
		return nil, errors.New("holds no secret")
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil {
		return nil, errors.New("holds something else than base32")
	}
	if len(secret) < 10 { // 80 bits, the shortest in use
		return nil, errors.New("holds a secret that is too short")
	}
	t.secret = secret
	return t, nil
}

func (t *totp) uri(text string) (secret string, err error) {
	u, err := url.Parse(text)
	if err != nil {
		return "", errors.New("holds a broken otpauth:// URI")
	}
	if !strings.EqualFold(u.Host, "totp") {
		return "", errors.New("holds an otpauth:// URI of another type than totp")
	}
	q := u.Query()
	if d := q.Get("digits"); d != "" && d != "6" {
		return "", errors.New("is of a device whose codes have not six digits, as AWS asks for")
	}
	if p := q.Get("period"); p != "" {
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 || n > 3600 {
			return "", errors.New("holds a period that is no number of seconds")
		}
		t.period = time.Duration(n) * time.Second
	}
	switch strings.ToUpper(q.Get("algorithm")) {
	case "", "SHA1":
	case "SHA256":
		t.hash = sha256.New
	case "SHA512":
		t.hash = sha512.New
	default:
		return "", errors.New("holds an algorithm other than SHA1, SHA256 and SHA512")
	}
	return q.Get("secret"), nil
}
