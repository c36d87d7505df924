package sigv4

import (
	"bufio"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// vector is a test of AWS's signing test suite: a request signed in the header or in
// the query, which the suite's own requests need not be fit to be sent.
type vector struct {
	dir     string
	request *Request
	body    string
	keys    aws.Credentials
}

// vectors reads what .ci/install-clients fetches: version is v4 or v4a, form header or
// query.
func vectors(t *testing.T, version, form string) map[string]vector {
	t.Helper()
	dir := os.Getenv("BRS_EXEC_CLIENTS")
	if dir == "" {
		cache, err := os.UserHomeDir()
		if err != nil {
			t.Skip(err)
		}
		dir = filepath.Join(cache, ".cache", "brs-exec-clients")
	}
	files, err := filepath.Glob(filepath.Join(dir, "sigv4-vectors", version, "*", form+"-signed-request.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		if os.Getenv("BRS_EXEC_REQUIRE_CLIENTS") == "1" {
			t.Fatal("AWS's signing test suite is missing: run .ci/install-clients")
		}
		t.Skip("AWS's signing test suite is missing: .ci/install-clients brings it")
	}
	all := map[string]vector{}
	for _, file := range files {
		context, err := os.ReadFile(filepath.Join(filepath.Dir(file), "context.json"))
		if os.IsNotExist(err) {
			continue // of an older form, without its keys
		}
		if err != nil {
			t.Fatal(err)
		}
		var said struct {
			Credentials struct {
				ID     string `json:"access_key_id"`
				Secret string `json:"secret_access_key"`
				Token  string `json:"token"`
			} `json:"credentials"`
		}
		if err := json.Unmarshal(context, &said); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, body := readVector(t, string(text))
		all[filepath.Base(filepath.Dir(file))] = vector{filepath.Dir(file), r, body, aws.Credentials{
			AccessKeyID: said.Credentials.ID, SecretAccessKey: said.Credentials.Secret, SessionToken: said.Credentials.Token,
		}}
	}
	if len(all) < 30 {
		t.Errorf("the suite has %d tests, want at least 30", len(all))
	}
	return all
}

// readVector reads a request by hand: the suite's have paths with spaces.
func readVector(t *testing.T, text string) (*Request, string) {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	line, fields, _ := strings.Cut(head, "\n")
	method, uri, _ := strings.Cut(line, " ")
	path, query, _ := strings.Cut(strings.TrimSuffix(uri, " HTTP/1.1"), "?")
	header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(fields + "\n\n"))).ReadMIMEHeader()
	if err != nil {
		t.Fatal(err)
	}
	r := &Request{Method: method, Path: path, Query: query, Host: header.Get("Host"), Header: http.Header(header), Length: -1}
	r.Header.Del("Host")
	if length, err := strconv.ParseInt(header.Get("Content-Length"), 10, 64); err == nil {
		r.Length = length
	}
	return r, body
}

// TestVectors checks what AWS has signed, and signs it again with the same keys.
func TestVectors(t *testing.T) {
	for _, version := range []string{"v4", "v4a"} {
		for _, form := range []string{"header", "query"} {
			for name, vector := range vectors(t, version, form) {
				name = version + " " + name + " " + form
				unsignedToken := strings.Contains(name, "post-sts-header-after")
				if unsignedToken && form == "query" {
					continue // by the service, which here is "service"
				}
				s := parse(t, vector.request)
				if s.Presigned != (form == "query") || s.Asymmetric != (version == "v4a") {
					t.Errorf("%s: got %+v", name, s)
				}
				body := hash256([]byte(vector.body))
				if err := s.Check(vector.request, vector.keys.SecretAccessKey, body); err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if err := s.Check(vector.request, "x"+vector.keys.SecretAccessKey, body); err == nil {
					t.Errorf("%s: another secret is taken", name)
				}
				got, err := s.Renew(vector.request, vector.keys, body)
				if err != nil {
					t.Fatal(err)
				}
				again := parse(t, got)
				if err := again.Check(got, vector.keys.SecretAccessKey, body); err != nil {
					t.Errorf("%s again: %v", name, err)
				}
				if version == "v4" && !unsignedToken && again.signature != s.signature {
					t.Errorf("%s: signed again as %s, want %s", name, again.signature, s.signature)
				}
			}
		}
	}
}

// TestECDSAKeys derives the keys that AWS's suite names.
func TestECDSAKeys(t *testing.T) {
	for name, vector := range vectors(t, "v4a", "header") {
		text, err := os.ReadFile(filepath.Join(vector.dir, "public-key.json"))
		if err != nil {
			t.Fatal(err)
		}
		var want struct{ X, Y string }
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if x, y := public(t, vector.keys); x != want.X || y != want.Y {
			t.Errorf("%s: got %s %s, want %+v", name, x, y, want)
		}
	}
}

func public(t *testing.T, keys aws.Credentials) (x, y string) {
	t.Helper()
	k, err := deriveECDSA(keys.AccessKeyID, keys.SecretAccessKey)
	if err != nil {
		t.Fatal(err)
	}
	var private *ecdsa.PrivateKey = k.(ecdsaKey).PrivateKey
	point, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(point[1:33]), hex.EncodeToString(point[33:])
}

// TestECDSA signs and checks with 4A, in header and query.
func TestECDSA(t *testing.T) {
	// The keys of AWS's examples, and their public key in its test suite.
	example := aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	if x, y := public(t, example); x != "b6618f6a65740a99e650b33b6b4b5bd0d43b176d721a3edfea7e7d2d56d936b1" || y != "865ed22a7eadc9c5cb9d2cbaca1b3699139fedc5043dc6661864218330c8e518" {
		t.Errorf("the key is %s %s", x, y)
	}
	const scope = "20150830/s3/aws4_request"
	header := &Request{Method: "GET", Path: "/k", Host: "h", Header: http.Header{
		"X-Amz-Date": {"20150830T123600Z"}, "X-Amz-Region-Set": {"us-east-1,us-west-*"}, "X-Amz-Content-Sha256": {unsignedPayload},
		"Authorization": {"AWS4-ECDSA-P256-SHA256 Credential=" + local.AccessKeyID + "/" + scope + ", SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-region-set, Signature=00"},
	}}
	query := &Request{Method: "GET", Path: "/k", Host: "h", Query: "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&X-Amz-Credential=" + local.AccessKeyID + "/" + scope +
		"&X-Amz-Date=20150830T123600Z&X-Amz-Expires=60&X-Amz-Region-Set=%2A&X-Amz-SignedHeaders=host&X-Amz-Signature=00"}
	for _, r := range []*Request{header, query} {
		s := parse(t, r)
		if s.Region != "" || s.RegionSet == "" || s.Service != "s3" || !s.Asymmetric {
			t.Errorf("got %+v", s)
		}
		if err := s.Check(r, local.SecretAccessKey, ""); err == nil {
			t.Error("no signature is taken")
		}
		for _, keys := range []aws.Credentials{real, forever} {
			got, err := s.Renew(r, keys, "")
			if err != nil {
				t.Fatal(err)
			}
			again := parse(t, got)
			if err := again.Check(got, keys.SecretAccessKey, ""); err != nil {
				t.Error(err)
			}
			if err := again.Check(got, keys.SecretAccessKey+"x", ""); err == nil {
				t.Error("another secret is taken")
			}
			if again.Token != keys.SessionToken || again.RegionSet != s.RegionSet || again.KeyID != keys.AccessKeyID {
				t.Errorf("got %+v", again)
			}
		}
	}
}
