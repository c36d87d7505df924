package cli

import (
	"crypto/fips140"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/mod/module"
)

// Version is the version of brs-exec, or the one that this source is on the way from.
// It is the one place: a release is the commit that the tag v<Version> is on.
const Version = "0.1.0"

// archived is what `git archive` writes here (see .gitattributes): hash and date of the
// commit and the tag, so that a source tarball knows what it is of. It is as you read it
// everywhere else.
const archived = "$Format:%H %cI %(describe:tags,match=v*,abbrev=12)$"

func (p *program) versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "print the version", OnUsageError: p.usageError,
		Action: func(*cli.Context) error {
			_, err := fmt.Fprint(p.stdout, thisBuild())
			return err
		},
	}
}

// build is what a binary was built from.
type build struct {
	version string // semantic; with the commit unless it is a release
	commit  string
	date    string // of the commit, RFC 3339
	dirty   bool   // files differ from the commit
	goIs    string // Go's version, system and processor
	fwdsig  bool
	pkcs11  bool
	signals bool // are taken from os/signal
	fips140 string
}

// buildOf makes out what was built, of what the go command has recorded and of what
// archived holds. A module from a proxy has its version alone, a tarball only
// archived, a checkout all that git knows.
func buildOf(info *debug.BuildInfo, archived string) build {
	set := map[string]string{}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	b := build{
		commit: set["vcs.revision"], date: set["vcs.time"], dirty: set["vcs.modified"] == "true",
		goIs:    strings.TrimSpace(info.GoVersion + " " + set["GOOS"] + "/" + set["GOARCH"]),
		fips140: set["GOFIPS140"],
	}
	tag := info.Main.Version
	if b.commit == "" {
		if rev, err := module.PseudoVersionRev(tag); err == nil {
			at, _ := module.PseudoVersionTime(tag)
			b.commit, b.date = rev, at.Format(time.RFC3339)
		} else if f := strings.Fields(archived); len(f) >= 2 && !strings.HasPrefix(archived, "$") {
			b.commit, b.date = f[0], f[1]
			if at, err := time.Parse(time.RFC3339, b.date); err == nil {
				b.date = at.UTC().Format(time.RFC3339)
			}
			tag = strings.Join(f[2:], "")
		}
	}
	b.version = Version
	switch {
	case tag == "v"+Version:
	case b.commit == "":
		b.version += "+devel" // built without git
	case b.dirty:
		b.version += "+" + b.commit[:12] + ".dirty"
	default:
		b.version += "+" + b.commit[:12]
	}
	tags := strings.Split(set["-tags"], ",")
	linux := set["GOOS"] == "linux"
	b.fwdsig = linux && slices.Contains(tags, "brs_fwdsig")
	b.pkcs11 = slices.Contains(tags, "brs_pkcs11") && set["CGO_ENABLED"] == "1" && set["GOOS"] != "windows"
	b.signals = !linux || set["GOARCH"] != "amd64" && set["GOARCH"] != "arm64" || slices.Contains(tags, "brs_ossignal")
	return b
}

func thisBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return buildOf(info, archived)
}

// version is what --version says. It costs too much for a start that does not say it.
func version() string { return thisBuild().version }

// String is what `brs-exec version` prints: a line each, easy to search.
func (b build) String() string {
	or := func(s, unknown string) string {
		if s == "" {
			return unknown
		}
		return s
	}
	yes := map[bool]string{true: "yes", false: "no"}
	commit := or(b.commit, "unknown")
	if b.commit == "" && b.version == Version {
		commit = "that of the tag v" + Version
	}
	if b.dirty {
		commit += ", with changes"
	}
	fips := "off"
	if fips140.Enabled() {
		fips = "on, module " + or(b.fips140, "latest")
	}
	return fmt.Sprintf(`brs-exec %s
commit: %s
date: %s
go: %s
brs_fwdsig: %s
brs_pkcs11: %s
brs_ossignal: %s
fips140: %s
`, b.version, commit, or(b.date, "unknown"), b.goIs, yes[b.fwdsig], yes[b.pkcs11], yes[b.signals], fips)
}
