package sign

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"brs-exec.example/brs-exec/writer/sign/sigv4"
)

func hashOf(body string) string {
	sum := sha256.Sum256([]byte(body))
	return hex.EncodeToString(sum[:])
}

// TestBodies: what the client sends arrives, whether its hash is said, unsaid or not signed, short or long.
func TestBodies(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			w, base, client := way.start(t, Options{})
			sums := make(chan string, 1)
			w.service.then = func(_ http.ResponseWriter, r *http.Request) {
				sum := sha256.New()
				io.Copy(sum, r.Body)
				sums <- hex.EncodeToString(sum.Sum(nil)) + fmt.Sprint(" ", r.ContentLength)
			}
			for _, size := range []int{0, 1, inMemory - 1, inMemory, inMemory + 1, 3 << 20} {
				body := strings.Repeat("x", size)
				for _, tt := range []struct{ name, header, service string }{
					{"a hash that is not said", "", "dynamodb"}, {"one that is", hashOf(body), "s3"}, {"none", "UNSIGNED-PAYLOAD", "s3"},
				} {
					r := newRequest(t, "PUT", base+"/x", body)
					hash := hashOf(body)
					if tt.header != "" {
						r.Header.Set("X-Amz-Content-Sha256", tt.header)
						hash = tt.header
					}
					sign(t, r, w.Local("p"), hash, tt.service, "us-east-1", time.Now())
					status, text := do(t, client, r)
					if status != 200 {
						t.Errorf("%d bytes, %s: %d %s", size, tt.name, status, text)
						continue
					}
					got := <-sums
					want := fmt.Sprint(hashOf(body), " ", size)
					if tt.header == "" { // the stand-in has read it to check it
						want = fmt.Sprint(hashOf(""), " ", size)
					}
					if got != want {
						t.Errorf("%d bytes, %s: the service gets %s, want %s", size, tt.name, got, want)
					}
					if record := w.record(t); record.Sent != int64(size) {
						t.Errorf("%d bytes, %s: reported as %d", size, tt.name, record.Sent)
					}
				}
			}
		})
	}
}

// TestBodyChanged: a body that is not the one that was signed is refused, and nothing is sent on.
func TestBodyChanged(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		w, base, client := way.start(t, Options{})
		r := newRequest(t, "POST", base, "one")
		sign(t, r, w.Local("p"), hashOf("another"), "dynamodb", "us-east-1", time.Now())
		if status, body := do(t, client, r); status < 400 || !strings.Contains(body, "Signature") {
			t.Errorf("%s: %d %s", way.name, status, body)
		}
		if got := w.service.requests(); len(got) > 0 {
			t.Errorf("%s: it was sent on", way.name)
		}
	}
}

// chunked is a body in chunks that are signed one after the other.
func chunked(keys string, at time.Time, seed string, chunks ...string) string {
	mac := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	key := []byte("AWS4" + keys)
	for _, part := range []string{at.UTC().Format("20060102"), "us-east-1", "s3", "aws4_request"} {
		key = mac(key, part)
	}
	var b strings.Builder
	for _, c := range append(chunks, "") {
		seed = hex.EncodeToString(mac(key, strings.Join([]string{
			"AWS4-HMAC-SHA256-PAYLOAD", at.UTC().Format("20060102T150405Z"), at.UTC().Format("20060102") + "/us-east-1/s3/aws4_request", seed, sigv4.EmptyHash, hashOf(c),
		}, "\n")))
		fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n%s\r\n", len(c), seed, c)
	}
	return b.String()
}

// TestChunks: a body whose chunks are signed is checked and signed again; one with a chunk that does not match never arrives whole.
func TestChunks(t *testing.T) {
	t.Parallel()
	for _, way := range ways {
		for _, broken := range []bool{false, true} {
			w, base, client := way.start(t, Options{})
			whole := make(chan bool, 1)
			w.service.then = func(_ http.ResponseWriter, r *http.Request) {
				signature, _ := sigv4.Parse(asSent(r, r.RequestURI))
				body, _, err := signature.Body(real.SecretAccessKey, real, asSent(r, r.RequestURI), r.Body)
				if err == nil {
					_, err = io.Copy(io.Discard, body)
				}
				whole <- err == nil
			}
			local, at := w.Local("p"), time.Now()
			const payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
			chunks := []string{strings.Repeat("a", 64<<10), strings.Repeat("b", 64<<10), "c"}
			r := newRequest(t, "PUT", base+"/b/k", "")
			r.Header.Set("X-Amz-Content-Sha256", payload)
			r.Header.Set("X-Amz-Decoded-Content-Length", "131073")
			r.Header.Set("Content-Encoding", "aws-chunked")
			r.ContentLength = int64(len(chunked("", at, "", chunks...)))
			r.Header.Set("Content-Length", fmt.Sprint(r.ContentLength))
			sign(t, r, local, payload, "s3", "us-east-1", at)
			_, seed, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
			body := chunked(local.SecretAccessKey, at, seed, chunks...)
			if broken {
				body = strings.Replace(body, "b\r\n1;", "x\r\n1;", 1)
			}
			r.Body = io.NopCloser(strings.NewReader(body))
			answer, err := client.Do(r)
			if err == nil {
				io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
			switch arrived := <-whole; {
			case !broken && (err != nil || answer.StatusCode != 200 || !arrived):
				t.Errorf("%s: %v, %v, arrived: %v", way.name, answer, err, arrived)
			case broken && (arrived || err == nil && answer.StatusCode < 400):
				t.Errorf("%s, with a broken chunk: %v, %v, arrived: %v", way.name, answer, err, arrived)
			case broken && err == nil && w.record(t).Refused == "":
				t.Errorf("%s, with a broken chunk: not reported as refused", way.name)
			}
		}
	}
}

// TestSpoolFails: where a long body cannot be kept the client gets an error that it retries on.
func TestSpoolFails(t *testing.T) {
	for _, variable := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(variable, filepath.Join(t.TempDir(), "missing"))
	}
	_, err := spool(strings.NewReader(strings.Repeat("x", inMemory+1)), -1)
	if f := (fileError{}); !errors.As(err, &f) {
		t.Fatalf("spool: %v", err)
	}
	w, base, client := ways[0].start(t, Options{})
	long := strings.Repeat("x", inMemory+1)
	r := newRequest(t, "POST", base, long)
	sign(t, r, w.Local("p"), hashOf(long), "dynamodb", "us-east-1", time.Now())
	if status, body := do(t, client, r); status != 503 || !strings.Contains(body, "cannot be kept") {
		t.Errorf("%d %s", status, body)
	}
	short := "x"
	r = newRequest(t, "POST", base, short)
	sign(t, r, w.Local("p"), hashOf(short), "dynamodb", "us-east-1", time.Now())
	if status, body := do(t, client, r); status != 200 {
		t.Errorf("a short one: %d %s", status, body)
	}
}

// TestSpool: a body is read as often as it takes, and leaves no file.
func TestSpool(t *testing.T) {
	dir := t.TempDir()
	for _, variable := range []string{"TMPDIR", "TMP", "TEMP"} {
		t.Setenv(variable, dir)
	}
	for _, size := range []int{0, 1, inMemory, inMemory + 1, 1 << 20} {
		body := bytes.Repeat([]byte("x"), size)
		b, err := spool(io.MultiReader(bytes.NewReader(body)), int64(size))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got, err := io.ReadAll(b.reader()); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d bytes: %d are read, %v", size, len(got), err)
			}
		}
		if b.length != int64(size) || b.hash != hashOf(string(body)) {
			t.Errorf("%d bytes: length %d, hash %s", size, b.length, b.hash)
		}
		b.close()
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%d bytes: %s is left", size, left[0].Name())
		}
	}
	broken := errors.New("broken")
	if _, err := spool(io.MultiReader(strings.NewReader(strings.Repeat("x", inMemory+1)), errorReader{broken}), -1); err != broken {
		t.Errorf("a client that is gone: %v", err)
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }
