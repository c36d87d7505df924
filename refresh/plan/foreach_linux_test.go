package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestListByLink: a list is read where a link of ours leads; one of another user's does not have us
// read, and quote, what is not that user's.
func TestListByLink(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "real.csv"), []byte("secret\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "accounts.csv")
	if err := os.Symlink("real.csv", link); err != nil {
		t.Fatal(err)
	}
	if got, err := readTable("accounts.csv", link); err != nil || len(got.rows) != 1 {
		t.Errorf("by our link: %+v, %v", got, err)
	}
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: needs root, to make what another user could have made")
	}
	if err := os.Lchown(link, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if got, err := readTable("accounts.csv", link); err == nil || !strings.Contains(err.Error(), "is a symbolic link of user 12345's") {
		t.Errorf("by another user's link: %+v, %v", got, err)
	}
}
