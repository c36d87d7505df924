//go:build unix

package integration

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// What S3's clients do with the body of an upload: "Signature Calculations for the Authorization
// Header: Transferring Payload in Multiple Chunks" of its API reference.

const chunkSize = 64 << 10

func crc32Text(body string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(body))))
}

func unsignedChunks(body string) string {
	var b strings.Builder
	for part := body; len(part) > 0; part = part[min(len(part), chunkSize):] {
		n := min(len(part), chunkSize)
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, part[:n])
	}
	fmt.Fprintf(&b, "0\r\nx-amz-checksum-crc32:%s\r\n\r\n", crc32Text(body))
	return b.String()
}

var signatureOf = regexp.MustCompile(`Credential=[^/]+/(\d+)/([^/]+)/([^/]+)/aws4_request.*Signature=([0-9a-f]+)`)

// signedChunks signs the chunks of a body for a request that is signed, and a trailer if there is one.
func signedChunks(r *http.Request, secret, body, trailer string, at time.Time) string {
	m := signatureOf.FindStringSubmatch(r.Header.Get("Authorization"))
	key := []byte("AWS4" + secret)
	for _, part := range []string{m[1], m[2], m[3], "aws4_request"} {
		key = hmacSHA256(key, part)
	}
	scope := strings.Join([]string{m[1], m[2], m[3], "aws4_request"}, "/")
	previous := m[4]
	sign := func(kind, hashes string) string {
		text := strings.Join([]string{kind, at.UTC().Format("20060102T150405Z"), scope, previous, hashes}, "\n")
		previous = hex.EncodeToString(hmacSHA256(key, text))
		return previous
	}
	var b strings.Builder
	for part := body; ; part = part[min(len(part), chunkSize):] {
		chunk := part[:min(len(part), chunkSize)]
		signature := sign("AWS4-HMAC-SHA256-PAYLOAD", hexSHA256("")+"\n"+hexSHA256(chunk))
		fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n%s", len(chunk), signature, chunk)
		if chunk == "" {
			break
		}
		b.WriteString("\r\n")
	}
	if trailer != "" {
		fmt.Fprintf(&b, "%s\r\nx-amz-trailer-signature:%s\r\n", trailer, sign("AWS4-HMAC-SHA256-TRAILER", hexSHA256(trailer+"\n")))
	}
	b.WriteString("\r\n")
	return b.String()
}

func hmacSHA256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
