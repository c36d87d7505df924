//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// callMode is the argument by which this program is the client under brs-exec.
const callMode = "call-for-sign"

const (
	unsigned  = "UNSIGNED-PAYLOAD"
	chunked   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	chunkSize = 64 << 10
	region    = "us-east-1"
)

var emptyHash = hashOf(nil)

func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// caller is a client that goes two ways.
type caller struct {
	keys    aws.Credentials
	signer  *v4.Signer
	urls    [2]string // direct, and by brs-exec
	clients [2]*http.Client
	pids    [3]int // the client, brs-exec, the service
}

var processes = []string{"client", "brs-exec", "service"}

// call measures, and prints. Its arguments are those that bench.sign gives it.
func call(ctx context.Context, args []string) error {
	if len(args) != 7 {
		return fmt.Errorf("%q", args)
	}
	var n [5]int
	for i := range n {
		var err error
		if n[i], err = strconv.Atoi(args[2+i]); err != nil {
			return err
		}
	}
	c, err := newCaller(args[0], args[1], n[0])
	if err != nil {
		return err
	}
	if err := c.small(ctx, n[1]); err != nil {
		return err
	}
	for _, t := range []transfer{
		{"GET", "GET", "", emptyHash},
		{"PUT, unsigned", "PUT", "", unsigned},
		{"PUT, hash given", "PUT", "", strings.Repeat("0", 64)},
		{"PUT, hash given, service hashes", "PUT", "hash", strings.Repeat("0", 64)},
		{"PUT, signed chunks", "PUT", "", chunked},
		{"PUT, signed chunks, service hashes", "PUT", "hash", chunked},
	} {
		if err := c.transfers(ctx, t, n[2], int64(n[3])); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return c.many(ctx, n[4])
}

func newCaller(via, direct string, service int) (*caller, error) {
	c := &caller{
		keys:   aws.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY")},
		signer: v4.NewSigner(), urls: [2]string{direct, direct}, pids: [3]int{os.Getpid(), os.Getppid(), service},
	}
	bundle, err := os.ReadFile(os.Getenv("AWS_CA_BUNDLE"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	for i := range c.clients {
		t := &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 10000, DisableCompression: true,
			WriteBufferSize: 64 << 10, ReadBufferSize: 64 << 10,
		}
		c.clients[i] = &http.Client{Transport: t}
		if i == 0 {
			continue
		}
		if via == "endpoint" {
			c.urls[i] = os.Getenv("AWS_ENDPOINT_URL")
			continue
		}
		proxy, err := url.Parse(os.Getenv("HTTPS_PROXY"))
		if err != nil {
			return nil, err
		}
		t.Proxy = http.ProxyURL(proxy)
	}
	return c, nil
}

// do sends a signed request, and reads the answer.
func (c *caller) do(ctx context.Context, way int, method, query, hash string, size int64) error {
	answer, err := c.begin(ctx, way, method, query, hash, size)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("%s: %s", answer.Status, text)
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, answer.Body, make([]byte, 256<<10))
	return err
}

func (c *caller) begin(ctx context.Context, way int, method, query, hash string, size int64) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.urls[way]+"/bucket/key?"+query, nil)
	if err != nil {
		return nil, err
	}
	if method == "PUT" {
		r.ContentLength = size
		r.Body = io.NopCloser(io.LimitReader(endless{}, size))
	}
	if hash == chunked {
		r.Header.Set("X-Amz-Decoded-Content-Length", strconv.FormatInt(size, 10))
		r.Header.Set("Content-Encoding", "aws-chunked")
		r.ContentLength = size/chunkSize*int64(chunkSize+len("10000;chunk-signature=\r\n\r\n")+64) + int64(len("0;chunk-signature=\r\n\r\n")+64)
	}
	r.Header.Set("X-Amz-Content-Sha256", hash)
	now := time.Now()
	if err := c.signer.SignHTTP(ctx, c.keys, r, hash, "s3", region, now, func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }); err != nil {
		return nil, err
	}
	if hash == chunked {
		r.Body = io.NopCloser(newChunker(c.keys.SecretAccessKey, r.Header.Get("Authorization"), now, size/chunkSize))
	}
	return c.clients[way].Do(r)
}

// endless is a body of zeros.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// chunker is a body of signed chunks, all with the same data, so that it costs the client next to nothing.
type chunker struct {
	key                        []byte
	head, signature, data, sum string
	left                       int64
	ended                      bool
	out                        bytes.Buffer
}

func newChunker(secret, authorization string, now time.Time, n int64) *chunker {
	date := now.UTC().Format("20060102")
	key := []byte("AWS4" + secret)
	for _, part := range []string{date, region, "s3", "aws4_request"} {
		key = mac(key, part)
	}
	_, signature, _ := strings.Cut(authorization, "Signature=")
	data := strings.Repeat("\x00", chunkSize)
	return &chunker{
		key: key, signature: signature, data: data, sum: hashOf([]byte(data)), left: n,
		head: "AWS4-HMAC-SHA256-PAYLOAD\n" + now.UTC().Format("20060102T150405Z") + "\n" + date + "/" + region + "/s3/aws4_request\n",
	}
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, text)
	return h.Sum(nil)
}

func (c *chunker) Read(p []byte) (int, error) {
	if c.out.Len() == 0 && !c.ended {
		data, sum := c.data, c.sum
		if c.left == 0 {
			data, sum, c.ended = "", emptyHash, true
		}
		c.left--
		c.signature = hex.EncodeToString(mac(c.key, c.head+c.signature+"\n"+emptyHash+"\n"+sum))
		fmt.Fprintf(&c.out, "%x;chunk-signature=%s\r\n%s\r\n", len(data), c.signature, data)
	}
	return c.out.Read(p)
}

// small compares the time of small requests on a connection that is kept.
func (c *caller) small(ctx context.Context, pairs int) error {
	var took [2][]duration
	var ticks [2][3]int
	for round := range pairs + 50 {
		for way := range took {
			at := time.Now()
			if err := c.do(ctx, way, "GET", "size=100", emptyHash, 0); err != nil {
				return err
			}
			if round >= 50 {
				took[way] = append(took[way], time.Since(at))
			}
		}
	}
	for way := range took {
		slices.Sort(took[way])
		before, err := c.ticks()
		if err != nil {
			return err
		}
		for range pairs {
			if err := c.do(ctx, way, "GET", "size=100", emptyHash, 0); err != nil {
				return err
			}
		}
		if ticks[way], err = c.since(before); err != nil {
			return err
		}
	}
	p := func(way, percent int) float64 { return ms(took[way][len(took[way])*percent/100]) }
	fmt.Printf("    small request: p10 %.3f, p50 %.3f ms; direct %.3f, %.3f ms: %.3f, %.3f ms more; processor time of a request:", p(1, 10), p(1, 50), p(0, 10), p(0, 50), p(1, 10)-p(0, 10), p(1, 50)-p(0, 50))
	for i, name := range processes {
		fmt.Printf(" %s %.3f (%.3f) ms", name, float64(ticks[1][i])*10/float64(pairs), float64(ticks[0][i])*10/float64(pairs))
	}
	fmt.Println()
	return nil
}

// ticks are hundredths of seconds of each process.
func (c *caller) ticks() (t [3]int, err error) {
	for i, pid := range c.pids {
		u, err := readUsage(pid)
		if err != nil {
			return t, err
		}
		t[i] = u.ticks
	}
	return t, nil
}

func (c *caller) since(before [3]int) ([3]int, error) {
	now, err := c.ticks()
	for i := range now {
		now[i] -= before[i]
	}
	return now, err
}

// transfer is a request with a long body or answer.
type transfer struct{ name, method, query, hash string }

// transfers compares the time of long ones.
func (c *caller) transfers(ctx context.Context, t transfer, rounds int, size int64) error {
	var took [2][]duration
	var ticks [2][3]int
	query := t.query
	if t.method == "GET" {
		query = "size=" + strconv.FormatInt(size, 10)
	}
	for range rounds {
		for way := range took {
			before, err := c.ticks()
			if err != nil {
				return err
			}
			at := time.Now()
			if err := c.do(ctx, way, t.method, query, t.hash, size); err != nil {
				return err
			}
			took[way] = append(took[way], time.Since(at))
			spent, err := c.since(before)
			if err != nil {
				return err
			}
			for i := range spent {
				ticks[way][i] += spent[i]
			}
		}
	}
	for way := range took {
		slices.Sort(took[way])
	}
	rate := func(d duration) float64 { return float64(size) / (1 << 20) / d.Seconds() }
	direct, by := took[0][rounds/2], took[1][rounds/2]
	fmt.Printf("    %-36s %5.0f MiB/s, direct %5.0f: %.2f of it; processor time:", t.name, rate(by), rate(direct), ratio(direct, by))
	for i, name := range processes {
		fmt.Printf(" %s %.2f (%.2f) s", name, float64(ticks[1][i])/100/float64(rounds), float64(ticks[0][i])/100/float64(rounds))
	}
	fmt.Println()
	return nil
}

// many holds connections open, first in the midst of an answer and then idle.
func (c *caller) many(ctx context.Context, n int) error {
	c.clients[1].CloseIdleConnections()
	if err := wait(ctx, settle); err != nil {
		return err
	}
	before, err := readUsage(c.pids[1])
	if err != nil {
		return err
	}
	answers := make([]*http.Response, n)
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			answers[i], errs[i] = c.begin(ctx, 1, "GET", "size="+strconv.Itoa(8<<20), emptyHash, 0)
			if errs[i] == nil {
				_, errs[i] = io.CopyN(io.Discard, answers[i].Body, 1<<20)
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	streaming, err := readUsage(c.pids[1])
	if err != nil {
		return err
	}
	for i := range n {
		all.Go(func() {
			_, errs[i] = io.Copy(io.Discard, answers[i].Body)
			answers[i].Body.Close()
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	if err := wait(ctx, settle); err != nil {
		return err
	}
	idle, err := readUsage(c.pids[1])
	if err != nil {
		return err
	}
	mib := func(u usage) float64 { return float64(u.rss-before.rss) / 1024 }
	fmt.Printf("    %d connections: resident %.1f MiB before; %.1f MiB more amid answers, %.1f MiB more when idle\n", n, float64(before.rss)/1024, mib(streaming), mib(idle))
	return nil
}
