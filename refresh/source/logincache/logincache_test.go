package logincache

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTokenFormat(t *testing.T) {
	t.Parallel()
	const theirs = `{"startUrl": "https://example.awsapps.com/start", "region": "eu-west-1", "accessToken": "a<&>b", "expiresAt": "2026-01-02T03:04:05Z", "clientId": "c", "clientSecret": "s", "registrationExpiresAt": "2026-04-01T00:00:00Z", "refreshToken": "r"}`
	for _, tt := range []struct{ name, text, want, err string }{
		{name: "as the CLI writes it", text: theirs, want: theirs},
		{name: "keys of others", text: `{"accessToken":"a","expiresAt":"2026-01-02T03:04:05Z","x":{"y":[1,null]},"b":true}`,
			want: `{"accessToken": "a", "expiresAt": "2026-01-02T03:04:05Z", "b": true, "x": {"y":[1,null]}}`},
		{name: "time of older CLIs", text: `{"accessToken":"a","expiresAt":"2026-01-02T03:04:05UTC"}`, want: `{"accessToken": "a", "expiresAt": "2026-01-02T03:04:05Z"}`},
		{name: "time with a zone", text: `{"accessToken":"a","expiresAt":"2026-01-02T05:04:05+02:00"}`, want: `{"accessToken": "a", "expiresAt": "2026-01-02T03:04:05Z"}`},
		{name: "empty", text: "", err: "is not the JSON of an SSO token"},
		{name: "half", text: theirs[:60], err: "is not the JSON of an SSO token"},
		{name: "no token", text: `{"expiresAt":"2026-01-02T03:04:05Z"}`, err: "has no accessToken"},
		{name: "a number", text: `{"accessToken":5}`, err: "accessToken is not text"},
		{name: "no time", text: `{"accessToken":"a","expiresAt":"soon"}`, err: "has no time in expiresAt"},
	} {
		token, err := ParseSSO([]byte(tt.text))
		got := ""
		if err == nil {
			got = string(token.format())
		} else if err.Error() != tt.err {
			t.Errorf("%s: error %q, want %q", tt.name, err, tt.err)
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestTokenWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	real, link := filepath.Join(dir, "real.json"), filepath.Join(dir, "link.json")
	token := &SSOToken{Access: "a", Expires: time.Unix(1e9, 0)}
	if err := os.WriteFile(real, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, link); err != nil {
		t.Skip(err)
	}
	for _, path := range []string{link, filepath.Join(dir, "new", "cache", "x.json")} {
		if err := token.Write(User{}, path); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadSSO(path); err != nil || got.Access != "a" {
			t.Errorf("%s holds %+v, %v", path, got, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("%s has mode %v, %v, want 0600", path, info.Mode(), err)
		}
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link has become %v, %v", info.Mode(), err)
	}
}

// full is a file on a disk that has room for so many bytes of it.
type full struct {
	*os.File
	room int
}

func (f full) WriteAt(b []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(b[:min(len(b), f.room)], at)
	if err == nil && n < len(b) {
		err = syscall.ENOSPC
	}
	return n, err
}

func TestWriteInPlace(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text, want string
		err        error
	}{
		{"short", "short", nil},
		{"longer than what was there", "longer than what was there", nil},
		{"longer than what there is room for on it", "what was there", syscall.ENOSPC},
	} {
		path := filepath.Join(t.TempDir(), "x.json")
		if err := os.WriteFile(path, []byte("what was there"), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		err = writeInPlace(full{f, 30}, []byte(test.text))
		f.Close()
		got, _ := os.ReadFile(path)
		if string(got) != test.want || !errors.Is(err, test.err) || test.err == nil && err != nil {
			t.Errorf("writing %q left %q, %v, want %q, %v", test.text, got, err, test.want, test.err)
		}
	}
}

func TestLoginFormat(t *testing.T) {
	t.Parallel()
	const theirs = `{"accessToken": {"accessKeyId": "k", "secretAccessKey": "s<&>", "sessionToken": "t", "accountId": "1", "expiresAt": "2026-01-02T03:04:05Z"}, "tokenType": "aws_sigv4", "clientId": "c", "refreshToken": "r", "idToken": "i", "dpopKey": "-----BEGIN\nx\n"}`
	for _, tt := range []struct{ name, text, want, err string }{
		{name: "as the CLI writes it", text: theirs, want: theirs},
		{name: "as the SDK for Go writes it",
			text: `{"accessToken":{"accessKeyId":"k","secretAccessKey":"s","sessionToken":"t","accountId":"1","expiresAt":"2026-01-02T05:04:05.123456789+02:00"},"tokenType":"x","refreshToken":"r","identityToken":"","clientId":"c","dpopKey":"d"}`,
			want: `{"accessToken": {"accessKeyId": "k", "secretAccessKey": "s", "sessionToken": "t", "accountId": "1", "expiresAt": "2026-01-02T03:04:05Z"}, "tokenType": "x", "clientId": "c", "refreshToken": "r", "dpopKey": "d", "identityToken": ""}`},
		{name: "keys of others", text: `{"accessToken":{"accessKeyId":"k","secretAccessKey":"s","sessionToken":"t","expiresAt":"2026-01-02T03:04:05Z","x":1},"y":[null]}`,
			want: `{"accessToken": {"accessKeyId": "k", "secretAccessKey": "s", "sessionToken": "t", "expiresAt": "2026-01-02T03:04:05Z", "x": 1}, "y": [null]}`},
		{name: "empty", err: "is not the JSON of a login session"},
		{name: "half", text: theirs[:60], err: "is not the JSON of a login session"},
		{name: "of SSO", text: `{"accessToken":"a","expiresAt":"2026-01-02T03:04:05Z"}`, err: "is not the JSON of a login session"},
		{name: "no set", text: `{"accessToken":{},"refreshToken":"r"}`, err: "has no complete credentials"},
		{name: "a number", text: `{"accessToken":{},"refreshToken":5}`, err: "refreshToken is not text"},
		{name: "no time", text: strings.Replace(theirs, "2026-01-02T03:04:05Z", "soon", 1), err: "has no time in expiresAt"},
	} {
		token, err := ParseLogin([]byte(tt.text))
		got, failed := "", ""
		if err == nil {
			got = string(token.format())
		} else {
			failed = err.Error()
		}
		if diff := cmp.Diff([]string{tt.want, tt.err}, []string{got, failed}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// A home that is not there is not made: /nonexistent is meant to be so.
func TestNoHomeIsMade(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "nobody")
	u := User{Home: home, Locks: []string{filepath.Join(home, ".cache", "brs-exec")}}
	if err := u.write(filepath.Join(home, ".aws", "sso", "cache", "x.json"), []byte("{}")); err == nil {
		t.Error("write = nil, want that there is no home")
	}
	if lock, err := u.Lock(t.Context(), "x"); lock != nil || err != nil {
		t.Errorf("Lock = %v, %v, want none", lock, err)
	}
	if _, err := os.Stat(home); err == nil {
		t.Errorf("%s was made", home)
	}
}

// FuzzSSOToken: what is read and written is read as the same.
func FuzzSSOToken(f *testing.F) {
	f.Add([]byte(`{"startUrl": "https://example.awsapps.com/start", "region": "eu-west-1", "accessToken": "a", "expiresAt": "2026-01-02T03:04:05Z", "clientId": "c", "clientSecret": "s", "registrationExpiresAt": "2026-04-01T00:00:00Z", "refreshToken": "r"}`))
	f.Add([]byte(`{"accessToken":"a\u2028<\ud800","expiresAt":"2026-01-02T03:04:05UTC","x\"y":[1,{"z":null}],"clientId":null}`))
	f.Add([]byte(`{"accessToken":"a","expiresAt":"2026-01-02T03:04:05Z","\u0000\u0007\u200b\ud83d\ude00":1}`))
	f.Add([]byte(`{"accessToken":"a","accessToken":"b","expiresAt":"2026-01-02 03:04:05+0200"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		first, err := ParseSSO(text)
		if err != nil {
			return
		}
		written := first.format()
		second, err := ParseSSO(written)
		if err != nil {
			t.Fatalf("%s is written as %s: %v", text, written, err)
		}
		if again := second.format(); string(again) != string(written) {
			t.Errorf("%s is written as %s, and then as %s", text, written, again)
		}
	})
}

// FuzzLogin: what is read and written is read as the same.
func FuzzLogin(f *testing.F) {
	f.Add([]byte(`{"accessToken": {"accessKeyId": "k", "secretAccessKey": "s", "sessionToken": "t", "accountId": "1", "expiresAt": "2026-01-02T03:04:05Z"}, "tokenType": "b", "clientId": "c", "refreshToken": "r", "idToken": "i.e30.x", "dpopKey": "-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n"}`))
	f.Add([]byte(`{"accessToken":{"accessKeyId":"k\u2028","secretAccessKey":"<\ud800","sessionToken":"t","expiresAt":"2026-01-02T03:04:05UTC","x\"y":[1]},"idToken":5}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		first, err := ParseLogin(text)
		if err != nil {
			return
		}
		first.Began()
		first.ProofKey()
		written := first.format()
		second, err := ParseLogin(written)
		if err != nil {
			t.Fatalf("%s is written as %s: %v", text, written, err)
		}
		if again := second.format(); string(again) != string(written) {
			t.Errorf("%s is written as %s, and then as %s", text, written, again)
		}
	})
}
