package ini

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFormatLike(t *testing.T) {
	end := time.Date(2030, 1, 2, 4, 4, 5, 0, time.FixedZone("", 3600))
	for _, tt := range []struct{ old, want string }{
		{"2001-01-01T00:00:00Z", "2030-01-02T03:04:05Z"},
		{"2001-01-01T00:00:00+02:00", "2030-01-02T03:04:05Z"},
		{"2001-01-01 00:00:00", "2030-01-02 03:04:05"},
		{"2001-01-01T00:00:00", "2030-01-02T03:04:05"},
		{"978307200", "1893553445"},
		{"978307200000", "1893553445000"},
		{"", "2030-01-02T03:04:05Z"},
		{"soon", "2030-01-02T03:04:05Z"},
	} {
		if got := FormatLike(tt.old, end); got != tt.want {
			t.Errorf("FormatLike(%q) = %q, want %q", tt.old, got, tt.want)
		}
	}
}

func TestCheckListed(t *testing.T) {
	for name, want := range map[string]string{
		"123456789012-eu-west-1-ReadOnly": "", "team/app prod": "", "o'brien": "", `a\b`: "", "profile": "",
		"": "cannot be written", " x": "cannot be written", "a[b": "cannot be written", "a\tb": "cannot be written", "a#b": "cannot be written", "brs-static": "section with the current keys",
		"DEFAULT": "inherit", "profile x": `take "profile"`, "profilex y": `"profilex"`, "a  b": "one space from two", `"q"`: "quotes", "'q'": "quotes",
	} {
		err := CheckListed(name)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("CheckListed(%q) = %v, want %q", name, err, want)
		}
	}
}

// A profile is found again under each header that is written for it.
func TestConfigHeaders(t *testing.T) {
	for name, want := range map[string][]string{
		"default": {"default"}, "prod": {"profile prod"}, "a b": {`profile "a b"`, "profile a b"},
		`D\u`: {`profile "D\\u"`, `profile D\u`}, `say "x"`: {`profile "say \"x\""`, `profile say "x"`}, "o'b": {`profile "o'b"`, "profile o'b"},
	} {
		got := ConfigHeaders(name)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ConfigHeaders(%q) (-want +got):\n%s", name, diff)
		}
		for _, header := range got {
			if of := ProfileOf(header); of != name {
				t.Errorf("ProfileOf(%s) = %q, want %q", header, of, name)
			}
		}
	}
}
