package sigv4

import (
	"bytes"
	"io"
	"net/http"
	"testing"
)

// BenchmarkSmall checks and signs again a request without body.
func BenchmarkSmall(b *testing.B) {
	header := http.Header{"X-Amz-Content-Sha256": {EmptyHash}, "Content-Type": {"application/x-amz-json-1.0"}, "X-Amz-Target": {"DynamoDB_20120810.GetItem"}}
	for name, r := range map[string]*Request{
		"header": signSDK(b, newRequest(b, "GET", "https://b.s3.amazonaws.com/some/key?x-id=GetObject", header, 0), local, "s3", EmptyHash, false),
		"query":  signSDK(b, newRequest(b, "GET", "https://b.s3.amazonaws.com/some/key?X-Amz-Expires=60", header, 0), local, "s3", EmptyHash, true),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s := parse(b, r)
				if err := s.Check(r, local.SecretAccessKey, ""); err != nil {
					b.Fatal(err)
				}
				if _, err := s.Renew(r, real, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkChunks signs a body of 16 MiB again. "hash" is one SHA-256 of as much, the
// least that it takes.
func BenchmarkChunks(b *testing.B) {
	data := randomBytes(16 << 20)
	b.Run("hash", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			hash256(data)
		}
	})
	for name, size := range map[string]int{"8KiB": 8 * kib, "64KiB": 64 * kib, "128KiB": 128 * kib} {
		u := client{keys: local}.upload(b, data, size)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			buffer := make([]byte, 32*kib)
			for b.Loop() {
				_, again, _ := u.renew(b, local, real, bytes.NewReader(u.body))
				if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, again, buffer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
