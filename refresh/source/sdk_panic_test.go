package source

import (
	"errors"
	"strings"
	"testing"
)

// A value that is one quote makes the SDK's parser panic: config v1.33.18,
// internal/ini/strings.go, unquote.
func TestLoneQuote(t *testing.T) {
	tests := []struct{ name, config, credentials, want string }{
		{"config", "[default]\nregion = \"\n", "", "CONFIG:2: has a value that the AWS SDK cannot read: a quote that is not closed"},
		{"single", "[default]\n\nregion='\n", "", "CONFIG:3: has a value"},
		{"colon and comment", "[profile x]\nregion : ' # why\n", "", "CONFIG:2: has a value"},
		{"credentials", "[default]\nregion = r-1\n", "[default]\naws_access_key_id = AKIADEF\naws_secret_access_key = '\n", "CREDENTIALS:3: has a value"},
		{"closed", "[default]\nregion = ''\n", "", "no AWS credentials found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conf, creds := isolate(t)
			write(t, conf, tt.config)
			write(t, creds, tt.credentials)
			src, err := New(t.Context(), Spec{})
			if err == nil {
				_, err = src.Retrieve(t.Context())
			}
			want := strings.NewReplacer("CONFIG", conf, "CREDENTIALS", creds).Replace(tt.want)
			if e := failure(t, err); !e.Permanent || !strings.HasPrefix(e.Error(), want) {
				t.Errorf("error %q, permanent %v; want %q", e, e.Permanent, want)
			}
		})
	}
}

// The same while a command runs: what was read before goes on.
func TestLoneQuoteLater(t *testing.T) {
	conf, creds := isolate(t)
	write(t, creds, "[default]\naws_access_key_id = AKIADEF\naws_secret_access_key = "+baseSecret+"\n")
	src := mustNew(t, Spec{})
	write(t, conf, "[default]\nregion = '\n")
	if c := mustRetrieve(t, src); c.AccessKeyID != "AKIADEF" {
		t.Errorf("access key %q, want the one that was read before", c.AccessKeyID)
	}
	if n := src.Notes(); len(n) != 1 || !strings.Contains(n[0], conf+":2: has a value") {
		t.Errorf("Notes = %q, want one that names the line", n)
	}
}

func TestLoadingOtherPanic(t *testing.T) {
	isolate(t)
	err := loading(func() error { panic(errors.New("boom")) })
	if err == nil || !strings.Contains(err.Error(), "the AWS SDK failed while it read its configuration: boom") {
		t.Errorf("loading = %v", err)
	}
	if err := loading(func() error { panic("secret") }); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("loading = %v, want no text of unknown origin", err)
	}
}
