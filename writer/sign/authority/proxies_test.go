package authority

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// aws are domains as the listener has them.
var aws = []string{"amazonaws.com", "amazonaws.com.cn", "api.aws", "minio.example", "10.1.2.3"}

func TestBypass(t *testing.T) {
	const us = "127.0.0.1,localhost,::1"
	tests := []struct {
		list, want string // what is kept before the entries for this machine
		lost       bool
	}{
		{"", "", false},
		{",", "", false},
		{"*", "", true},
		{" * ", "", true},
		{"example.com", "example.com", false},
		{"example.com, .internal ,x", "example.com, .internal ,x", false},
		{"amazonaws.com", "", true},
		{".amazonaws.com", "", true},
		{"*.amazonaws.com", "", true},
		{".AmazonAWS.com", "", true},
		{"a.example,amazonaws.com,b.example", "a.example,b.example", true},
		{"s3.eu-west-1.amazonaws.com", "", true},
		{"s3.eu-west-1.amazonaws.com:443", "", true},
		{"bucket.s3.amazonaws.com.", "", true},
		{"s3.*.amazonaws.com", "", true},
		{"s3.*", "", true},
		{"com", "", true},
		{".com", "", true},
		{"aws.com", "", true}, // Requests compares ends
		{"aws", "", true},
		{"notamazonaws.com", "notamazonaws.com", false},
		{"amazonaws.com.example", "amazonaws.com.example", false},
		{"minio.example:9000", "", true},
		{"example", "", true}, // minio.example is below
		{"10.1.2.3", "", true},
		{"10.0.0.0/8", "", true},
		{"10.*", "", true},
		{"10.1.2.3:443", "", true},
		{"10.1.2.4,192.168.0.0/16,192.168.*,fd00::/8,[::2]:80", "10.1.2.4,192.168.0.0/16,192.168.*,fd00::/8,[::2]:80", false},
		{"169.254.170.2,169.254.169.254", "169.254.170.2,169.254.169.254", false},
		{"a.example b.example", "a.example b.example", false},
		{"a.example amazonaws.com b.example", "a.example b.example", true},
		{"localhost,::1", "localhost,::1,127.0.0.1", false},
		{"127.0.0.1 localhost", "127.0.0.1 localhost,::1", false},
	}
	for _, tt := range tests {
		want := tt.want
		if !strings.Contains(tt.list, "localhost") {
			want = strings.TrimPrefix(want+","+us, ",")
		}
		got, lost := bypass(tt.list, aws)
		if got != want || lost != tt.lost {
			t.Errorf("%q: got %q, %v, want %q, %v", tt.list, got, lost, want, tt.lost)
		}
		if again, lost := bypass(got, aws); again != got || lost {
			t.Errorf("%q: a second time it is %q", got, again)
		}
	}
}

func TestURL(t *testing.T) {
	tests := []struct {
		name, env, url, want string
	}{
		{"none", "", "https://x.example", ""},
		{"https", "HTTPS_PROXY=http://p:1", "https://x.example", "http://p:1"},
		{"https is not for http", "HTTPS_PROXY=http://p:1", "http://x.example", ""},
		{"http", "http_proxy=http://p:1", "http://x.example", "http://p:1"},
		{"lower case wins", "HTTPS_PROXY=http://p:1 https_proxy=http://q:1", "https://x.example", "http://q:1"},
		{"but not if it is empty", "HTTPS_PROXY=http://p:1 https_proxy=", "https://x.example", "http://p:1"},
		{"all", "ALL_PROXY=socks5://p:1", "https://x.example", "socks5://p:1"},
		{"all for http", "all_proxy=socks5h://p:1", "http://x.example", "socks5h://p:1"},
		{"the scheme's own wins", "ALL_PROXY=socks5://p:1 HTTPS_PROXY=http://q:1", "https://x.example", "http://q:1"},
		{"no scheme", "HTTPS_PROXY=p:1", "https://x.example", "http://p:1"},
		{"a user", "HTTPS_PROXY=http://u:secret@p:1", "https://x.example", "http://u:secret@p:1"},
		{"bypassed", "HTTPS_PROXY=http://p:1 NO_PROXY=x.example", "https://a.x.example:8443", ""},
		{"bypassed, blanks between", "HTTPS_PROXY=http://p:1 NO_PROXY=a.example\tx.example", "https://x.example", ""},
		{"bypassed by a network", "HTTPS_PROXY=http://p:1 no_proxy=10.0.0.0/8", "https://10.1.2.3", ""},
		{"all bypassed", "HTTPS_PROXY=http://p:1 no_proxy=*", "https://x.example", ""},
		{"lower case of the list wins", "HTTPS_PROXY=http://p:1 NO_PROXY=* no_proxy=y.example", "https://x.example", "http://p:1"},
		{"loopback", "HTTPS_PROXY=http://p:1", "https://127.0.0.1:8443", ""},
	}
	for _, tt := range tests {
		p, err := NewProxies(fields(tt.env))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if proxy, err := p.URL(u); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		} else if proxy != nil {
			got = proxy.String()
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// fields are the entries of an environment, which a blank parts.
func fields(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, " ")
}

func TestProxiesErrors(t *testing.T) {
	for _, entry := range []string{"HTTPS_PROXY=http://u:secret@", "https_proxy=http://u:secret@[::1", "ALL_PROXY=socks4://secret:1", "HTTP_PROXY=://secret"} {
		_, err := NewProxies([]string{entry})
		name, _, _ := strings.Cut(entry, "=")
		if err == nil || !strings.HasPrefix(err.Error(), name+" ") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v", entry, err)
		}
	}
}

func TestProxyEnv(t *testing.T) {
	const ours, us = "http://127.0.0.1:9", "127.0.0.1,localhost,::1"
	tests := []struct {
		name, env string
		plain     bool
		want      string
	}{
		{"nothing", "", false, "HTTPS_PROXY=O https_proxy=O NO_PROXY=U no_proxy=U NODE_USE_ENV_PROXY=1"},
		{"plain", "", true, "HTTPS_PROXY=O https_proxy=O NO_PROXY=U no_proxy=U HTTP_PROXY=O http_proxy=O NODE_USE_ENV_PROXY=1"},
		{"the user's for http stays", "HTTP_PROXY=http://p", false, "HTTPS_PROXY=O https_proxy=O NO_PROXY=U no_proxy=U"},
		{"unless its list changes", "HTTP_PROXY=http://p NO_PROXY=.amazonaws.com,x", false, "HTTPS_PROXY=O https_proxy=O NO_PROXY=x,U no_proxy=x,U HTTP_PROXY=O"},
		{"in its spelling", "http_proxy=http://p no_proxy=*", false, "HTTPS_PROXY=O https_proxy=O NO_PROXY=U no_proxy=U http_proxy=O"},
		{"spellings that differ", "HTTPS_PROXY=http://p NO_PROXY=x no_proxy=y", false, "HTTPS_PROXY=O https_proxy=O NO_PROXY=x,U no_proxy=y,U"},
		{"a proxy for all stays", "ALL_PROXY=socks5://p NO_PROXY=x", false, "HTTPS_PROXY=O https_proxy=O NO_PROXY=x,U no_proxy=x,U"},
		{"unless nothing went by it", "ALL_PROXY=socks5://p NO_PROXY=*", false, "HTTPS_PROXY=O https_proxy=O NO_PROXY=U no_proxy=U HTTP_PROXY=O http_proxy=O ALL_PROXY="},
		{"or its list changes", "ALL_PROXY=socks5://p NO_PROXY=x,api.aws", false, "HTTPS_PROXY=O https_proxy=O NO_PROXY=x,U no_proxy=x,U HTTP_PROXY=O http_proxy=O"},
	}
	for _, tt := range tests {
		p, err := NewProxies(fields(tt.env))
		if err != nil {
			t.Fatal(err)
		}
		want := strings.NewReplacer("=O", "="+ours, "=U", "="+us, ",U", ","+us).Replace(tt.want)
		if diff := cmp.Diff(strings.Fields(want), p.Env("127.0.0.1:9", aws, tt.plain)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// FuzzProxies holds, whatever the user's lists are, that a host of AWS is reached through us, and every
// other one as without us: by the same proxy, or through us, who use that one. Clients are of two
// kinds: those that compare labels, as we do, and those that compare the ends of names.
func FuzzProxies(f *testing.F) {
	for _, list := range []string{"", "*", "com", ".amazonaws.com", "a.example,amazonaws.com b.example", "10.0.0.0/8,10.*", "s.com", "x.example:443", "3", "0.1.2.3"} {
		f.Add(list, "", uint8(1))
		f.Add("x.example", list, uint8(2))
		f.Add(list, list, uint8(7))
	}
	hosts := []string{"amazonaws.com", "s3.eu-west-1.amazonaws.com", "b.s3.amazonaws.com.cn", "s3.api.aws", "minio.example", "10.1.2.3"}
	others := []string{"x.example", "a.x.example", "example.com", "10.9.9.9", "[fd00::1]", "notamazonaws.org"}
	f.Fuzz(func(t *testing.T, upper, lower string, set uint8) {
		environ := []string{"NO_PROXY=" + upper, "no_proxy=" + lower}
		for i, entry := range []string{"HTTPS_PROXY=http://p:1", "http_proxy=http://q:1", "ALL_PROXY=socks5://r:1"} {
			if set&(1<<i) != 0 {
				environ = append(environ, entry)
			}
		}
		before, err := NewProxies(environ)
		if err != nil {
			t.Fatal(err)
		}
		const us = "127.0.0.1:9"
		env := before.Env(us, aws, false)
		after, err := NewProxies(append(env, environ...)) // the first of two entries counts
		if err != nil {
			t.Fatal(err)
		}
		by := func(p *Proxies, scheme, host string) string {
			proxy, err := p.URL(&url.URL{Scheme: scheme, Host: host})
			if err != nil {
				t.Fatal(err)
			}
			if proxy == nil {
				return ""
			}
			return proxy.Host
		}
		for _, host := range hosts {
			if got := by(after, "https", host); got != us {
				t.Errorf("%q, %q: %s is reached by %q", upper, lower, host, got)
			}
			for _, entry := range env {
				if name, list, _ := strings.Cut(entry, "="); strings.EqualFold(name, "no_proxy") {
					for _, e := range strings.FieldsFunc(list, isSeparator) {
						if strings.HasSuffix(host, strings.ToLower(strings.TrimLeft(e, "."))) {
							t.Errorf("%q, %q: %q holds for %s", upper, lower, e, host)
						}
					}
				}
			}
		}
		for _, scheme := range []string{"http", "https"} {
			for _, host := range others {
				if was, is := by(before, scheme, host), by(after, scheme, host); is != us && is != was {
					t.Errorf("%q, %q: %s://%s is reached by %q, was by %q", upper, lower, scheme, host, is, was)
				}
			}
		}
		for _, host := range hosts {
			if was, is := by(before, "http", host), by(after, "http", host); is != us && is != was {
				t.Errorf("%q, %q: http://%s is reached by %q, was by %q", upper, lower, host, is, was)
			}
		}
	})
}
