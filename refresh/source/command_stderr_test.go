package source

import (
	"bytes"
	"strings"
	"testing"
)

func TestChatter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, said, want string
	}{
		{"text", "touch your key\n\tnow, ann – ok\n", "touch your key\n\tnow, ann – ok\n"},
		{"colours", "\x1b[1;31mwrong\x1b[0m code\n", "wrong code\n"},
		{"a title", "\x1b]0;pwned\x07done\n", "done\n"},
		{"a title, ended otherwise", "\x1b]0;pwned\x1b\\done\n", "done\n"},
		{"the clipboard", "\x1b]52;c;cHduZWQ=\x07\n", "\n"},
		{"one that does not end", "\x1b]0;pwned\nnext line\n", "\nnext line\n"},
		{"other escapes", "a\x1bcb\x1b7\n", "ab\n"},
		{"controls", "a\x00b\x08c\rd\u009b31me\x7f\n", "abcd31me\n"},
		{"no UTF-8", "a\xffb\xc3", "a\xffb"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{len(tt.said), 1} {
				var got bytes.Buffer
				c := &stderrFilter{to: &got, left: stderrLimit}
				for said := tt.said; said != ""; said = said[min(size, len(said)):] {
					if n, err := c.Write([]byte(said[:min(size, len(said))])); n == 0 || err != nil {
						t.Fatalf("Write = %d, %v", n, err)
					}
				}
				if got.String() != tt.want {
					t.Errorf("in pieces of %d: %q, want %q", size, got.String(), tt.want)
				}
			}
		})
	}
}

// However what is said comes in pieces, its end is shown.
func TestChatterEnd(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 4, 5, 100} {
		var got bytes.Buffer
		c := &stderrFilter{to: &got, left: 8}
		for range 100 / size {
			c.Write(bytes.Repeat([]byte("x"), size))
		}
		if want := "xxxxxxxx […]\n"; got.String() != want {
			t.Errorf("in pieces of %d: %q, want %q", size, got.String(), want)
		}
	}
}

// A program that does not stop talking does not fill the command's log, and does not
// fail for it either.
func TestChatterLimit(t *testing.T) {
	t.Parallel()
	isolate(t)
	var stderr bytes.Buffer
	c := mustRetrieve(t, mustNew(t, Spec{Command: helperCommand("chatter"), Stderr: &stderr}))
	if c.AccessKeyID != "AKIACMD" {
		t.Errorf("credentials = %+v", c)
	}
	if n := stderr.Len(); n < stderrLimit || n > stderrLimit+10 || !strings.HasSuffix(stderr.String(), "[…]\n") {
		t.Errorf("%d bytes were passed on, ending in %q", n, stderr.String()[max(0, n-20):])
	}
}
