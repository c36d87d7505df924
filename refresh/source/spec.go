package source

import (
	"errors"
	"fmt"
	"io"
	"time"

	"brs-exec/refresh"
)

// Spec says what was asked for. The zero value is the AWS CLI's default chain.
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

	// Else are asked in this order, at each refresh, when what is said above gives no
	// set that lives. Their Names, Stderr and Prompt are this one's.
	Else []Spec

	// AssumeLifetime is how long credentials are taken to live whose source
	// does not say. 0 leaves them without an expiry.
	AssumeLifetime time.Duration

	// SessionName is the template for all roles, also those of a profile or of variables,
	// which may have a name of their own; see [Role.SessionName]. "" leaves each its own.
	SessionName string

	Names Names // for session name templates

	// Stderr gets what Command, or a profile's credential_process, prints on its
	// standard error. nil discards it.
	Stderr io.Writer

	limits limits      // time limits of the network, for tests; the zero value is the default
	codes  *codes      // what the sources of Else share with this one; New makes it
	env    environment // for tests; nil is the process's
}

// Names are the values of the placeholders in [Role.SessionName].
type Names struct {
	User, Host, Command, Profile string
	PID                          int
}

// errConflict says that two kinds of source were asked for.
var errConflict = errors.New("cannot both be the source")

// kinds are the sources that were asked for; there may be one.
func (s *Spec) kinds() []string {
	var kinds []string
	for _, k := range []struct {
		name  string
		given bool
	}{
		{"a credential command", len(s.Command) > 0},
		{"a profile", s.Profile != ""},
		{"a file", s.File != ""},
		{"a web identity", s.WebIdentity.given()},
		{"IoT Core", s.IoT != nil},
		{"IAM Roles Anywhere", s.RolesAnywhere != nil},
	} {
		if k.given {
			kinds = append(kinds, k.name)
		}
	}
	return kinds
}

func (s *Spec) validate() error {
	for name, argv := range map[string][]string{"credential": s.Command, "web identity token": s.WebIdentity.Command} {
		if len(argv) > 0 && argv[0] == "" {
			return fmt.Errorf("%s command: its name is empty", name)
		}
	}
	if err := s.MFA.validate(); err != nil {
		return err
	}
	if k := s.kinds(); len(k) > 1 {
		return fmt.Errorf("%s and %s %w", k[0], k[1], errConflict)
	}
	if err := s.validateX509(); err != nil {
		return err
	}
	if s.FileProfile != "" && s.File == "" {
		return fmt.Errorf("profile %q of a file: needs the file", s.FileProfile)
	}
	if err := s.WebIdentity.validate(s.Roles); err != nil {
		return err
	}
	if s.AssumeLifetime < 0 {
		return fmt.Errorf("assumed lifetime %s: must not be negative", s.AssumeLifetime)
	}
	if _, err := expand(s.SessionName, s.Names); err != nil {
		return fmt.Errorf("session name %q: %w", s.SessionName, err)
	}
	for _, r := range s.Roles {
		if err := r.validate(s.Names); err != nil {
			return err
		}
	}
	return nil
}

func specHint(err error) string {
	var known *refresh.Error
	switch {
	case errors.As(err, &known):
		return known.Hint
	case errors.Is(err, errConflict):
		return "leave one of the two out"
	case errors.Is(err, errDataEndpoint):
		return describeHint
	case errors.Is(err, errWebRole):
		return "name it: --role-arn arn:aws:iam::123456789012:role/NAME"
	case errors.Is(err, errARN):
		return "a role's ARN looks like arn:aws:iam::123456789012:role/NAME"
	case errors.Is(err, errPlaceholder):
		return "the placeholders are {user} {host} {command} {pid} {profile}"
	}
	return ""
}
