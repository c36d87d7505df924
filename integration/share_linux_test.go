package integration

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestShareNeighbours: two users do not see each other's, and a name that one has taken makes
// the other go elsewhere, and say so.
func TestShareNeighbours(t *testing.T) {
	t.Parallel()
	alice, mallory := neighbours(t)
	dir := "/dev/shm/brs-exec-share-" + strconv.Itoa(alice.uid)
	t.Cleanup(func() {
		os.RemoveAll(dir)
		os.RemoveAll("/dev/shm/brs-exec-share-" + strconv.Itoa(mallory.uid))
	})
	key := func(n *neighbour, w *world) (string, string) {
		t.Helper()
		w.reveals = true
		p := w.brsExec("credentials", "--share", "--role-arn", roleARN)
		return p.keyID(), p.stderr.String()
	}
	ours, theirs := alice.world(time.Hour), mallory.world(time.Hour)
	theirs.env["AWS_ENDPOINT_URL"] = ours.env["AWS_ENDPOINT_URL"] // the same in all but the user
	theirs.env["AWS_ACCESS_KEY_ID"], theirs.env["AWS_SECRET_ACCESS_KEY"] = ours.env["AWS_ACCESS_KEY_ID"], ours.env["AWS_SECRET_ACCESS_KEY"]
	first, said := key(alice, ours)
	if again, _ := key(alice, ours); again != first || said != "" {
		t.Fatalf("%s is not shared as %s: %s", first, again, said)
	}
	if other, said := key(mallory, theirs); other == first || said != "" {
		t.Errorf("another user has %s: %s", other, said)
	}
	if out, err := mallory.sh(`ls "$1"; cat "$1"/*; echo x > "$1/x"`, dir); err == nil || strings.Contains(out, first) {
		t.Errorf("another user is let in: %s", out)
	}
	// An entry that another user has made, as by root's mistake.
	entries, _ := filepath.Glob(dir + "/*")
	for _, path := range entries {
		if err := os.Chown(path, mallory.uid, mallory.uid); err != nil {
			t.Fatal(err)
		}
	}
	if other, said := key(alice, ours); other == first || strings.Count(said, "is not from this user's brs-exec") != 1 {
		t.Errorf("takes %s of another user: %s", other, said)
	}
	// The directory is mallory's, who has it lead to one of alice's, or lets alice in.
	for _, plant := range []string{`mkdir -m 777 "$1"`, `ln -s "$2" "$1"`, `echo x > "$1"`} {
		os.RemoveAll(dir)
		if out, err := mallory.sh(plant, dir, alice.home); err != nil {
			t.Fatal(out)
		}
		fresh, said := key(alice, ours)
		if again, _ := key(alice, ours); again != fresh || !strings.Contains(said, dir) || !strings.Contains(said, "user "+strconv.Itoa(mallory.uid)) && !strings.Contains(said, "not a directory") {
			t.Errorf("%s: %s, then %s: %s", plant, fresh, again, said)
		}
		if out, err := mallory.sh(`cat "$1"/*`, dir); strings.Contains(out, fresh) {
			t.Errorf("%s: another user reads it: %v", plant, err)
		}
		os.RemoveAll(filepath.Join(alice.home, "home", ".cache"))
	}
}
