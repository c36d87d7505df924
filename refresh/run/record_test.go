package run

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"brs-exec/refresh"
	"brs-exec/refresh/source"
	"brs-exec/supervisor"
)

func TestRecorder(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	k := newRecorder("/usr/bin/python", "a profile", nil)
	set := refresh.Event{Kind: refresh.Refreshed, KeyID: "ASIA0000000000000001", Expires: now.Add(time.Hour), Next: now.Add(time.Minute)}
	failed := refresh.Event{Kind: refresh.Failed, Attempt: 3, Permanent: true, Err: ErrExpired, Next: now.Add(time.Second)}
	base := Record{PID: k.r.PID, Command: "python", Source: "a profile"}
	held := base
	held.Key, held.Expires, held.Next = "ASIA…0001", set.Expires, set.Next
	failing := held
	failing.Failed, failing.Permanent, failing.Err, failing.Next = 3, true, ErrExpired.Error(), failed.Next
	twice := held
	twice.Refreshed = 1
	known, login := twice, source.Expiry{At: now.Add(time.Hour), What: "a login"}
	known.LivesOn, known.SourceExpiry = login.What, login.At
	stale := twice
	stale.Stale = 1
	for _, step := range []struct {
		name string
		do   func()
		want Record
	}{
		{"first credentials", func() { k.engine(set, true) }, held},
		{"failure", func() { k.engine(failed, false) }, failing},
		{"the same again", func() {
			e := set
			e.Kind = refresh.Unchanged
			k.engine(e, false)
		}, held},
		{"second credentials", func() { k.engine(set, false) }, twice},
		{"a login that ends", func() { k.sourceExpiry("", login, true) }, known},
		{"no end", func() { k.sourceExpiry("", login, false) }, twice},
		{"stale", k.stale, stale},
		{"the command ends", func() { k.child(supervisor.Event{Kind: supervisor.Ended, PID: 1}, false) }, stale},
	} {
		step.do()
		if diff := cmp.Diff(step.want, k.r); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		text, err := json.Marshal(k.r)
		var back Record
		if err != nil || json.Unmarshal(text, &back) != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(k.r, back); diff != "" {
			t.Errorf("%s, written and read (-want +got):\n%s", step.name, diff)
		}
	}
}
