//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWritten holds the page and doctor's table to the record of what was
// measured: neither is written by hand.
func TestWritten(t *testing.T) {
	module := filepath.Join("..", "..")
	results, err := readResults(filepath.Join(module, recordPath))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range written(results) {
		got, err := os.ReadFile(filepath.Join(module, path))
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s differs from what go run ./integration/compat -write makes of %s (-want +got):\n%s", path, recordPath, diff)
		}
	}
}

func TestLetter(t *testing.T) {
	for _, test := range []struct {
		name string
		r    *result
		want string
	}{
		{"not measured", nil, "?"},
		{"takes the process", &result{Outcome: survived, Sets: 7, Asked: asks{Process: 9, File: 3}}, "p"},
		{"takes the endpoint", &result{Outcome: survived, Sets: 7, Asked: asks{Endpoint: 9}}, "e"},
		{"takes the metadata service", &result{Outcome: survived, Sets: 7, Asked: asks{IMDS: 9}}, "i"},
		{"takes the file once", &result{Outcome: failed, Refused: 9, Sets: 1, Asked: asks{File: 1}}, "F"},
		{"is refused, and takes newer ones", &result{Outcome: failed, Refused: 3, Sets: 4, Asked: asks{Process: 4}}, "p"},
		{"finds none", &result{Outcome: nothing}, "-"},
		{"signs with local keys", &result{Outcome: survived, Delivery: sign, Sets: 7, Asked: asks{File: 1}}, "s"},
		{"sends its requests past brs-exec", &result{Outcome: failed, Delivery: sign, Refused: 9}, "-"},
		{"trusts no certificate of brs-exec's", &result{Outcome: failed, Delivery: sign}, "-"},
		{"is refused behind brs-exec", &result{Outcome: failed, Delivery: sign, Refused: 9, Sets: 1}, "?"},
		{"fails for a reason of its own", &result{Outcome: failed, Sets: 2, Asked: asks{Process: 4}}, "?"},
	} {
		if got := letter(test.r); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestTable(t *testing.T) {
	cell := func(client, sdk, delivery string) result {
		return result{Client: client, Version: "2.0", SDK: sdk, Delivery: delivery, Outcome: survived, Asked: asks{Process: 1}}
	}
	got := string(table([]result{cell("gov2", "", "auto"), cell("boto3", "1.9", "auto"), cell("boto3", "1.9", "process"), cell("rawfile", "", "auto")}))
	if _, lines, _ := strings.Cut(got, "not known.\n"); lines != "botocore 1.9 pp????\ngo2 2.0 p?????\n" {
		t.Errorf("table:\n%s", got)
	}
}
