package sign

import (
	"net/url"
	"testing"

	"brs-exec.example/brs-exec/writer/sign/sigv4"
)

func TestFollow(t *testing.T) {
	both := Options{Region: "us-east-1"}
	for _, test := range []struct {
		name    string
		options Options
		way     string
		host    string
		region  string // of the signature
		want    string // "": not moved
	}{
		{"the region of the URL", both, wayProxy, "123456789012.s3-control.us-east-1.amazonaws.com", "us-east-1", ""},
		{"another one", both, wayProxy, "123456789012.s3-control.us-east-1.amazonaws.com", "eu-west-1", "123456789012.s3-control.eu-west-1.amazonaws.com"},
		{"no prefix", both, wayProxy, "omics.us-east-1.amazonaws.com", "us-west-2", "omics.us-west-2.amazonaws.com"},
		{"another partition", both, wayProxy, "cp.maps.geo.us-east-1.amazonaws.com", "us-gov-west-1", "cp.maps.geo.us-gov-west-1.amazonaws.com"},
		{"the client's own choice", both, wayProxy, "omics.eu-west-1.amazonaws.com", "eu-west-1", ""},
		{"another service's name", both, wayProxy, "economics.us-east-1.amazonaws.com", "eu-west-1", ""},
		{"a service that is not given", both, wayProxy, "s3.us-east-1.amazonaws.com", "eu-west-1", ""},
		{"no such region", both, wayProxy, "omics.us-east-1.amazonaws.com", "nowhere", ""},
		{"given to nobody", Options{Region: "us-east-1", Via: Proxy}, wayProxy, "omics.us-east-1.amazonaws.com", "eu-west-1", ""},
		{"the user's endpoint", Options{Region: "us-east-1", Endpoints: map[string]string{"": "https://x.example"}}, wayProxy, "omics.us-east-1.amazonaws.com", "eu-west-1", ""},
		{"the endpoint way", both, wayEndpoint, "omics.us-east-1.amazonaws.com", "eu-west-1", ""},
	} {
		e := &exchange{way: test.way, to: url.URL{Scheme: "https", Host: test.host + ":443"}, signature: &sigv4.Signature{Region: test.region}}
		moved := (&Server{o: test.options}).follow(e)
		want := test.want
		if want == "" {
			want = test.host
		}
		if got := e.to.Hostname(); got != want || moved != (test.want != "") || e.to.Port() != "443" {
			t.Errorf("%s: %s, moved %t, want %s", test.name, e.to.Host, moved, want)
		}
	}
}
