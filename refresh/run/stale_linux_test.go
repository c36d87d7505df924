package run

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sys/unix"

	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/writer"
	"brs-exec.example/brs-exec/writer/process"
	"brs-exec.example/brs-exec/writer/stale"
)

// TestStaleOptions: each file that is read is a reading by its delivery, and that of
// the config file is the start of an SDK.
func TestStaleOptions(t *testing.T) {
	t.Parallel()
	for _, mode := range []writer.Mode{writer.Auto, writer.File} {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o700); err != nil { // whatever the umask
			t.Fatal(err)
		}
		files, err := writer.NewPrivate(writer.Options{Profiles: []writer.Profile{{Name: "prod"}}, Mode: mode, Executable: "/bin/brs-exec", Dirs: []string{dir}})
		if err != nil {
			t.Fatal(err)
		}
		defer files.Close()
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil {
			t.Fatal(err)
		}
		if st.Flags&unix.ST_NOATIME != 0 {
			t.Skip("the file system of the test keeps no access times")
		}
		creds := aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "s"}
		if err := files.Deliver(context.Background(), map[string]aws.Credentials{"prod": creds}); err != nil {
			t.Fatal(err)
		}
		fetched := process.Read{KeyID: "AKID", At: time.Now()}
		ps := &profiles{}
		ps.set([]*profile{{Profile: plan.Profile{Name: "prod"}}})
		d := &deliveries{profiles: ps, files: files, list: []delivery{{}, {by: stale.Endpoint, read: func(string) process.Read { return fetched }}}}
		p := &plan.Plan{}
		p.Deliver.Files = mode
		o := staleOptions(p, d, &staleReaction{})
		if o.KeysInProfile != (mode == writer.File) || len(o.Reads) != 3 || o.Reads[stale.Endpoint]("prod") != fetched {
			t.Errorf("mode %d: %+v", mode, o)
		}
		for name, seen := range map[string]func() bool{
			"config":      func() bool { return !o.Started().IsZero() },
			"state":       func() bool { return o.Reads[stale.Process]("prod").KeyID == "AKID" },
			"credentials": func() bool { return o.Reads[stale.File]("prod").KeyID == "AKID" },
		} {
			if seen() {
				t.Errorf("mode %d: %s was read by nobody", mode, name)
			}
			if _, err := os.ReadFile(filepath.Join(files.Dir(), name)); err != nil {
				t.Fatal(err)
			}
			if !seen() {
				t.Errorf("mode %d: that %s was read is not seen", mode, name)
			}
		}
	}
}
