//go:build unix

package integration

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestSignVectors sends the requests of AWS's signing test suite through the listener, signed by
// botocore with the local keys. What arrives is held against the suite's requests, and the server
// has to find each signature right.
func TestSignVectors(t *testing.T) {
	t.Parallel()
	python := program(t, "python")
	dir := installed(t, "sigv4-vectors", "v4")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := newCloud(t, time.Hour)
	p := c.brsExec("--role-arn", roleARN, "--deliver", "sign", "--", python, source("boto3", "vectors.py"), dir)
	if code := p.exit(); code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, p.stdout.String(), p.stderr.String())
	}
	lines, calls := p.stdout.lines(), c.sent()
	if len(lines) < 2*len(entries)-2 || len(calls) != len(lines) || len(entries) < 35 {
		t.Fatalf("%d requests of %d vectors, %d calls:\n%s", len(lines), len(entries), len(calls), p.stdout.String())
	}
	for i, call := range calls {
		text, err := os.ReadFile(dir + "/" + strings.Fields(lines[i])[0] + "/request.txt")
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		_, target, _ := strings.Cut(first[:strings.LastIndex(first, " ")], " ")
		path, query, _ := strings.Cut(strings.ReplaceAll(target, " ", "%20"), "?")
		gotPath, gotQuery, _ := strings.Cut(call.URI, "?")
		if strings.Contains(lines[i], " query ") { // the signature's parameters stand behind
			gotQuery = query
		}
		if gotPath != path || gotQuery != query {
			t.Errorf("%s: arrived as %s", lines[i], call.URI)
		}
		// The server knows no such service, and says so where the signature is right.
		if call.Code == "SignatureDoesNotMatch" || call.Code == "AccessDenied" || call.KeyID == "" || strings.HasPrefix(call.KeyID, "AKIA") {
			t.Errorf("%s: %s", lines[i], call)
		}
	}
}
