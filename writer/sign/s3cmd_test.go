package sign

import (
	"os"
	"path/filepath"
	"testing"
)

func TestS3cmd(t *testing.T) {
	const ours = "\n[default]\nproxy_host = 127.0.0.1\nproxy_port = 4711\n"
	home := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(home, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	named := write("named", "[default]\naccess_key = A")
	for _, test := range []struct {
		name, home, config, dotfile string
		want                        string
	}{
		{"no file", home, "", "", ours},
		{"no home", "", "", "", ours},
		{"the user's is kept", home, "", "[default]\nhost_base = x\nproxy_host = \nproxy_port = 0\n", "[default]\nhost_base = x\nproxy_host = \nproxy_port = 0\n" + ours},
		{"the variable wins", home, named, "[default]\nhost_base = x\n", "[default]\naccess_key = A" + ours},
		{"one that is not there", home, filepath.Join(home, "none"), "", ours},
		{"one that cannot be read", home, home, "", ""},
		{"a proxy of the user's", home, "", "[default]\nproxy_host = proxy.example\n", ""},
		{"and a quoted one", home, "", " proxy_host=\"proxy.example\"\n", ""},
		{"a comment is none", home, "", "# proxy_host = x\n", "# proxy_host = x\n" + ours},
	} {
		os.Remove(filepath.Join(home, ".s3cfg"))
		if test.dotfile != "" {
			write(".s3cfg", test.dotfile)
		}
		env := map[string]string{"HOME": test.home, s3cmdConfig: test.config}
		if got := string(s3cmd(func(name string) string { return env[name] }, "127.0.0.1:4711")); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
