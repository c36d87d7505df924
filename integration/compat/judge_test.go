//go:build linux

package main

import (
	"testing"
	"time"

	"brs-exec.example/brs-exec/integration/fakeaws"

	"github.com/google/go-cmp/cmp"
)

func TestJudge(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	ends := map[string]time.Time{"A": at(20), "B": at(30), "C": at(40), "D": at(60)}
	good := func(second int, key string) fakeaws.Call {
		return fakeaws.Call{Time: at(second), KeyID: key, Accepted: true}
	}
	bad := func(second int, key, code string) fakeaws.Call {
		return fakeaws.Call{Time: at(second), KeyID: key, Code: code}
	}
	tests := []struct {
		name  string
		calls []fakeaws.Call
		ended string
		want  result
	}{
		{"survived", []fakeaws.Call{good(0, "A"), good(15, "B"), good(29, "C"), good(41, "D")}, "",
			result{Outcome: survived, Calls: 4, Sets: 4, Ended: 3, Watched: 41 * time.Second}},
		{"a missing object is no refusal", []fakeaws.Call{good(0, "A"), bad(1, "A", "NoSuchKey"), good(29, "B"), good(39, "C"), good(41, "D")}, "",
			result{Outcome: survived, Calls: 5, Sets: 4, Ended: 3, Watched: 41 * time.Second}},
		{"too short", []fakeaws.Call{good(0, "A"), good(29, "B"), good(35, "C")}, "",
			result{Outcome: failed, Reason: "only 2 sets ended while it made calls", Calls: 3, Sets: 3, Ended: 2, Watched: 35 * time.Second}},
		{"went away", []fakeaws.Call{good(0, "A")}, "ended by itself, exit code 1",
			result{Outcome: failed, Reason: "ended by itself, exit code 1", Calls: 1, Sets: 1}},
		{"never asked again", []fakeaws.Call{good(0, "A"), good(19, "A"), bad(21, "A", "ExpiredToken"), bad(22, "A", "ExpiredToken")}, "",
			result{Outcome: failed, Reason: "ExpiredToken after 21s: it never asked for newer credentials", Calls: 4, Refused: 2, Sets: 1, Watched: 22 * time.Second}},
		{"recovered", []fakeaws.Call{good(0, "A"), bad(21, "A", "ExpiredToken"), good(22, "B"), good(31, "C"), good(41, "D")}, "",
			result{Outcome: failed, Reason: "ExpiredToken for 1 of 5 calls, first after 21s; each time it went on with newer credentials, and reported no failure", Calls: 5, Refused: 1, Sets: 4, Ended: 3, Watched: 41 * time.Second}},
		{"the keys of the source", []fakeaws.Call{good(0, "BOOT")}, "",
			result{Outcome: failed, Reason: "used the keys that brs-exec started from", Calls: 1, Sets: 1}},
		{"unsigned", []fakeaws.Call{bad(0, "", "AccessDenied")}, "",
			result{Outcome: nothing, Reason: "sent its requests unsigned", Calls: 1, Refused: 1}},
		{"silent", nil, "NoCredentialsError", result{Outcome: nothing, Reason: "NoCredentialsError"}},
		{"signs, and reaches nobody", nil, "PKIX", result{Delivery: sign, Outcome: failed, Reason: "PKIX"}},
		{"signs, and past brs-exec", []fakeaws.Call{bad(0, "L", "InvalidAccessKeyId"), bad(1, "L", "InvalidAccessKeyId")}, "",
			result{Delivery: sign, Outcome: failed, Reason: "InvalidAccessKeyId from its first call on: it sent its calls past brs-exec", Calls: 2, Refused: 2, Watched: time.Second}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := result{Delivery: test.want.Delivery}
			log{calls: test.calls, bootstrap: "BOOT", expiry: func(id string) (time.Time, bool) {
				end, ok := ends[id]
				return end, ok
			}}.judge(&got, test.ended)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("judge (-want +got):\n%s", diff)
			}
		})
	}
}
