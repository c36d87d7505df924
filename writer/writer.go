// Package writer delivers credentials through the private files of a run: the config
// and the credentials file in the run directory that the command is pointed to, and
// the environment that points it there. What it does not do itself is in the rooms
// below it: the directory (rundir), a file of the user's own (shared), sockets
// (endpoint).
package writer

import "time"

// Mode says what the files in the run directory are to be good for.
type Mode int

const (
	// Auto is for everything that refreshes by itself: [default] and the
	// profile run a credential_process, and the environment selects the
	// profile. Other deliveries add their own variables through Env.
	Auto Mode = iota
	// File is for programs that read keys from the credentials file
	// themselves, again and again: [default] and the profile hold the keys,
	// and no profile is selected.
	File
	// Process is Auto for a command that can reach only our files, not our
	// loopback address (another network namespace).
	Process
	// Endpoint is for programs that know no credential_process, or cannot run
	// one: no profile is selected, and none has credentials, so that all of
	// them go on to the addresses that other deliveries add through Env.
	Endpoint
)

// byProcess tells whether the profiles run a credential_process.
func (m Mode) byProcess() bool { return m == Auto || m == Process }

// defaultProfile is the profile that the command is given if its source has no
// name of its own.
const defaultProfile = "brs-exec"

// A Profile is one set of credentials, with the names that the command finds it under.
type Profile struct {
	// Name is that of the credentials in what is delivered. The command gets them under
	// the same name, so that code which names it keeps working. If it is "default", or
	// the single profile has none, "", the environment names defaultProfile.
	Name string
	// Region is written to the profile, that of the default one to the environment;
	// "" leaves both as the user has them.
	Region string
	// As are further names.
	As []string
}

// Options says what a Private serves. Executable is required where Mode is
// Auto or Process; the zero value of all else is usable.
type Options struct {
	// Profiles are those that the command finds credentials under. One is the
	// command's default, which [default] and the environment name: the one with the
	// Name "default", else the first. None are one with the zero value.
	Profiles []Profile
	// Mode is what the files are good for.
	Mode Mode
	// ConfigFile and CredentialsFile are the user's own, copied from. "" or
	// a file that cannot be read counts as an empty one.
	ConfigFile, CredentialsFile string
	// Executable is the absolute path of the binary that the profiles run as
	// `Executable credentials --run-dir DIR`, where there are several with
	// `--profile NAME` behind it.
	Executable string
	// Dirs are the directories to make the run directory in, as [rundir.Make] has
	// it: the first that can be used is.
	Dirs []string
	// Notify, if not nil, is called when the run directory vanished: that it was made
	// again, or why it cannot be.
	Notify func(note string, err error)
	// NextLook, if not nil, returns how long it is until the next of regular looks, of which
	// there is one every so often: with those of others one waking of the process is enough.
	NextLook func(every time.Duration) time.Duration
	// OwnKeys leaves out the keys of the user's other profiles: what is delivered are keys
	// that are worth something to this run alone, and the command is to have no others.
	OwnKeys bool
	// OwnEndpoints is for a command whose requests are to come to us: no setting of its
	// profiles and no variable leads them elsewhere.
	OwnEndpoints bool
	// KeepIMDS leaves the instance metadata service reachable for the command.
	KeepIMDS bool
}
