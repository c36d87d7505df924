package ini

import (
	"testing"
	"time"
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
