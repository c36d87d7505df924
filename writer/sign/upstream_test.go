package sign

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestUpstream: what is for AWS goes elsewhere, by whichever way it comes in. No host of AWS is asked, not even for the
// version of HTTP.
func TestUpstream(t *testing.T) {
	t.Parallel()
	f := newService(t, false)
	f.Server = httptest.NewServer(http.HandlerFunc(f.answer)) // plain
	t.Cleanup(f.Close)
	w := newWorld(t, newService(t, false), Options{Upstream: f.URL, Endpoints: map[string]string{}})
	for _, tt := range []struct {
		url    string
		client *http.Client
	}{
		{"https://s3.us-east-1.amazonaws.com", w.client(t, true)},
		{"https://bucket.s3.us-east-1.amazonaws.com", w.client(t, false)},
		{w.URL(), http.DefaultClient},
	} {
		r := newRequest(t, "GET", tt.url+"/b/k", "")
		sign(t, r, w.Local("p"), hashOf(""), "s3", "us-east-1", time.Now())
		if status, body := do(t, tt.client, r); status != 200 || body != "ok" {
			t.Errorf("%s: %d %s", tt.url, status, body)
		}
		want := r.URL.Host
		if tt.url == w.URL() {
			want = f.Listener.Addr().String()
		}
		if got := f.requests(); len(got) != 1 || got[0].Host != want {
			t.Errorf("%s: the other server got %v", tt.url, got)
		}
	}
}
