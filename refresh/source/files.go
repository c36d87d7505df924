package source

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
)

// configFingerprint changes when a shared file does.
func (s *Source) configFingerprint() string {
	var b strings.Builder
	for _, path := range s.vars().sharedFiles() {
		if fi, err := os.Stat(s.absolute(path)); err == nil {
			fmt.Fprintf(&b, "%d %d\n", fi.Size(), fi.ModTime().UnixNano())
		} else {
			b.WriteString("none\n")
		}
	}
	return b.String()
}

// sharedFiles are the paths of the config and the credentials file. In the variables ~ and
// other variables count, as for the AWS CLI: nothing else has filled them in where
// they are set in a Dockerfile or a unit.
func (e environ) sharedFiles() []string {
	return []string{
		cmp.Or(e.expand(e.get("AWS_CONFIG_FILE")), e.below(config.DefaultSharedConfigFilename())),
		cmp.Or(e.expand(e.get("AWS_SHARED_CREDENTIALS_FILE")), e.below(config.DefaultSharedCredentialsFilename())),
	}
}

// SharedFiles are the paths of the user's own config and credentials file.
func SharedFiles() (config, credentials string) {
	files := environ{processEnvironment{}}.sharedFiles()
	return files[0], files[1]
}

func (e environ) expand(path string) string {
	path = os.Expand(path, func(name string) string {
		if v, ok := e.lookup(name); ok {
			return v
		}
		return "$" + name
	})
	if rest, ok := strings.CutPrefix(path, "~"); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		if home, err := e.home(); err == nil {
			path = home + rest
		}
	}
	return path
}
