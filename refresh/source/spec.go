package source

import (
	"io"
	"strings"
	"time"

	"brs-exec.example/brs-exec/refresh"
)

// Spec says which source is meant. The zero value is the AWS CLI's default chain.
type Spec struct {
	Profile string // profile of the shared files; "" is that of AWS_PROFILE or AWS_DEFAULT_PROFILE, else default
	Region  string // AWS region; "" is the configuration's

	// Roles are assumed one from the other, in order, on top of the base. Each is
	// used as it is; [Chain] spreads one set of options over several.
	Roles []Role

	// Command is run for the base in place of the default chain: argv, no shell. It
	// excludes Profile. See [Source.Retrieve] for what it may print.
	Command        []string
	CommandTimeout time.Duration // limit of one run; 0 is one minute

	// IoT and RolesAnywhere, if not nil, are asked for the base; see there. Each
	// excludes the other, Profile and Command.
	IoT           *IoT
	RolesAnywhere *RolesAnywhere

	// File is a credentials file that something else keeps, FileProfile the section
	// of it: "" is the only one, or default. It excludes Profile and Command.
	File, FileProfile string

	// WebIdentity is how the first of Roles is assumed; there must be one. It
	// excludes Profile and Command.
	WebIdentity WebIdentity

	// MFA, if it or the profile names a device, makes a session of the base's keys
	// before anything is done with them. Prompt asks for codes; nil: nobody is there.
	MFA    MFA
	Prompt Prompt

	// Else are tried in this order, at each refresh, when what is said above gives no
	// credentials that have not expired. Their Names, Stderr and Prompt are this one's.
	Else []Spec

	// AssumeLifetime is the lifetime that credentials are taken to have whose source
	// does not say. 0 leaves them without an expiry.
	AssumeLifetime time.Duration

	// SessionName is the template for all roles, also those of a profile or of variables,
	// which may have a name of their own; see [Role.SessionName]. "" leaves each its own.
	SessionName string

	Names Names // for session name templates

	// Stderr gets what Command, or a profile's credential_process, prints on its
	// standard error. nil discards it.
	Stderr io.Writer

	// Share has processes of one user ask once for all.
	Share Share

	// Say, if not nil, tells a person at once what is waited for.
	Say func(line string)

	limits limits      // time limits of the network, for tests; the zero value is the default
	env    environment // for tests; nil is the process's
}

// Names are the values of the placeholders in [Role.SessionName]. An empty User or Host is that
// of this process.
type Names struct {
	User, Host, Command, Profile string
	PID                          int
}

// validate checks what only the source of a kind knows. Which settings go together, and
// what AWS takes for a role, package plan has checked.
func (s *Spec) validate() error {
	var err error
	switch {
	case s.IoT != nil:
		err = s.IoT.validate()
	case s.RolesAnywhere != nil:
		err = s.RolesAnywhere.validate(s.vars())
	}
	if err != nil {
		return err
	}
	templates := []string{s.SessionName}
	if r := s.RolesAnywhere; r != nil {
		templates = append(templates, r.SessionName)
	}
	for _, r := range s.Roles {
		templates = append(templates, r.SessionName)
	}
	for _, template := range templates {
		if s.Share.On && strings.Contains(template, "{pid}") {
			return refresh.Permanentf("leave {pid} out, or --share; without a name it is "+sharedSessionName,
				"session name %q: is different in each process, so that no session could be shared", template)
		}
		if _, err := expand(template, s.Names); err != nil {
			return refresh.Permanentf("the placeholders are {user} {host} {command} {pid} {profile}", "session name %q: %v", template, err)
		}
	}
	return nil
}
