package plan

import (
	"path/filepath"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/source"
)

var (
	shareFlags = &group{about: "What processes share"}

	flagShare    = shareFlags.truth("share", "retrieve credentials once for all processes of this user with the same source; a person types one MFA code")
	flagShareDir = shareFlags.text("share-dir", "DIR", "directory of mode 0700 for what is shared (default: in memory, see docs/share.md)")
)

// share reads what a source shares with those of other processes.
func (p *Profile) share(v *Settings) (err error) {
	s := source.Share{On: flagShare.of(v), Dir: flagShareDir.of(v)}
	switch {
	case s.Dir != "" && !s.On:
		return wrong(flagShareDir, "add --share", "needs --share")
	case s.Dir != "" && !filepath.IsAbs(s.Dir):
		return wrong(flagShareDir, "all processes must find it, wherever they start", "%q: not an absolute path", s.Dir)
	}
	before, err := duration(v, flagRefreshBefore)
	if err != nil {
		return err
	}
	s.MinTTL, err = duration(v, flagMinTTL)
	s.Policy = refresh.Policy{Before: before}
	if s.On {
		p.Source.Share = s
	}
	return err
}
