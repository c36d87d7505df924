package refresh

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
)

func TestEventLogValue(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	tests := []struct {
		event Event
		want  string
	}{
		{
			Event{Kind: Refreshed, Profile: "prod", Time: at, KeyID: "ASIAIOSFODNN7EXAMPLE", Expires: at.Add(time.Hour), Life: time.Hour, Next: at.Add(30 * time.Minute)},
			"refreshed [profile=prod key=ASIAIOSFODNN7EXAMPLE expires=2026-01-02 04:04:05 +0000 UTC life=1h0m0s next=2026-01-02 03:34:05 +0000 UTC]",
		},
		{
			Event{Kind: Failed, Profile: "prod", Next: at, Attempt: 3, Err: errors.New("denied"), Permanent: true},
			"refresh failed [profile=prod next=2026-01-02 03:04:05 +0000 UTC attempt=3 permanent=true err=denied]",
		},
		{Event{Kind: ClockStep, Step: -time.Hour}, "clock step [step=-1h0m0s]"},
		{Event{Kind: Skewed, Profile: "a", Skew: time.Hour}, "clock skew [profile=a skew=1h0m0s]"},
		{Event{}, "kind 0 []"},
		{Event{Kind: 99}, "kind 99 []"},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, fmt.Sprint(tt.event.Kind, " ", tt.event.LogValue())); diff != "" {
			t.Errorf("%d is logged as (-want +got):\n%s", tt.event.Kind, diff)
		}
	}
	for k := Refreshed; k <= ClockStep; k++ {
		if k.String() == "" || strings.HasPrefix(k.String(), "kind") {
			t.Errorf("Kind %d has no name", k)
		}
	}
}

func TestShortKeyID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"ASIAIOSFODNN7EXAMPLE": "ASIA…MPLE", "ASIA567890123456": "ASIA…3456", "minioadmin": "…in", "short": "…", "": "…",
	} {
		if got := ShortKeyID(id); got != want {
			t.Errorf("ShortKeyID(%q) = %q, want %q", id, got, want)
		}
	}
}

// TestNoSecrets prints everything that this package exports, in every way that a
// log could.
func TestNoSecrets(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		p := Profile{Name: "a", Source: credentials.StaticCredentialsProvider{Value: aws.Credentials{
			AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: "verysecret", SessionToken: "tokensecret",
		}}}
		r := launch(t, w, Options{Deliveries: []Delivery{&shelf{}}, Profiles: []Profile{
			p, {"b", &issuer{world: w, life: time.Minute, fail: func(call int) error {
				if call > 2 {
					return errTransient
				}
				return nil
			}}},
		}})
		pass(2 * time.Hour)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		text, js := slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))
		show := func(v any) {
			fmt.Fprintf(&out, "%v %+v %#v %s\n", v, v, v, v)
			text.Info("x", "v", v)
			js.Info("x", "v", v)
		}
		show(p)
		show([]Profile{p})
		show(r.Engine)
		kinds := map[Kind]bool{}
		for _, e := range r.events {
			kinds[e.Kind] = true
			show(e)
			b, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			out.Write(b)
		}
		for _, k := range []Kind{Refreshed, Unchanged, Failed, Expired, Short, Static} {
			if !kinds[k] {
				t.Errorf("no event %q to look at", k)
			}
		}
		for _, secret := range []string{"verysecret", "tokensecret"} {
			if i := bytes.Index(out.Bytes(), []byte(secret)); i >= 0 {
				t.Errorf("%q is in …%s", secret, out.Bytes()[max(i-100, 0):i])
			}
		}
		if !bytes.Contains(out.Bytes(), []byte("AKIAIOSFODNN7EXAMPLE")) {
			t.Error("the key id is nowhere: nothing was looked at")
		}
	})
}

// TestPublicKeyID: an id of AWS's is told in full, and what may be a secret is not.
func TestPublicKeyID(t *testing.T) {
	for id, want := range map[string]string{
		"ASIAIOSFODNN7EXAMPLE":                     "ASIAIOSFODNN7EXAMPLE",
		"AKIAIOSFODNN7EXAMPLE":                     "AKIAIOSFODNN7EXAMPLE",
		"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY": "wJal…EKEY",
		"minioadmin":                               "…in",
		"":                                         "…",
	} {
		if got := PublicKeyID(id); got != want {
			t.Errorf("%q is told as %q, want %q", id, got, want)
		}
	}
}
