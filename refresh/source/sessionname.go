package source

import (
	"cmp"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// defaultSessionName names the run, so that CloudTrail tells it from others.
const defaultSessionName = "brs-exec-{command}-{pid}"

// sharedSessionName is the same in all processes that are to share a session.
const sharedSessionName = "brs-exec-{user}-{host}"

// sessionName is what a template comes to in a form that AWS takes: 2 to 64 of
// letters, digits and _+=,.@- (AssumeRole, RoleSessionName).
func (s *Source) sessionName(template string) string {
	n := s.spec.Names
	if n.Profile == "" {
		n.Profile, _ = s.profileName()
	}
	usual := defaultSessionName
	if s.spec.Share.On {
		usual = sharedSessionName
	}
	template = cmp.Or(s.spec.SessionName, template, usual)
	name, err := expand(template, n)
	if err != nil {
		name = template // a profile's role_session_name: braces have no meaning there
	}
	return sanitise(name)
}

// expand fills in the placeholders.
func expand(template string, n Names) (string, error) {
	var b strings.Builder
	for {
		before, rest, open := strings.Cut(template, "{")
		b.WriteString(before)
		if !open {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("{%s: no such placeholder", rest)
		}
		switch name {
		case "user":
			b.WriteString(cmp.Or(n.User, processUser()))
		case "host":
			b.WriteString(cmp.Or(n.Host, hostname()))
		case "command":
			b.WriteString(n.Command)
		case "pid":
			b.WriteString(strconv.Itoa(n.PID))
		case "profile":
			b.WriteString(n.Profile)
		default:
			return "", fmt.Errorf("{%s}: no such placeholder", name)
		}
		template = after
	}
}

// processUser and hostname are looked for by those sessions alone that have them in their names.
func processUser() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.Username
}

func hostname() string {
	name, _ := os.Hostname()
	return name
}

func sanitise(name string) string {
	name = strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_+=,.@-", r) {
			return r
		}
		return '-'
	}, name)
	if len(name) < 2 {
		name += "-brs-exec"
	}
	return name[:min(len(name), 64)]
}
