// Package control is how other processes ask a run what it holds, and to refresh now:
// a unix socket in the run directory.
//
// A client sends one line of JSON, a [Request], and gets one line of JSON, an [Answer].
// The socket is this user's alone (mode 0600 in a directory of mode 0700), and on Linux,
// macOS and FreeBSD the kernel is asked who has connected: another user than this one and
// root gets no answer. Sizes, times and the number of clients are limited, so that
// none of them holds up the run, which pays nothing for the socket before the command
// has started.
package control

import "time"

// socketName is that of the socket in the run directory.
const socketName = "control"

// Version is that of the protocol and of [Record]. It rises when something
// that there was means something else or is there no more; fields that a reader does not
// know are to be ignored.
const Version = 1

// What a client can ask for.
const (
	Status  = "status"
	Refresh = "refresh"
)

// Request is what a client asks for.
type Request struct {
	Version  int      `json:"v"`
	Do       string   `json:"do"`                 // Status or Refresh
	Profiles []string `json:"profiles,omitempty"` // Refresh: those to be refreshed; none means all
}

// Answer is what it gets. That of Refresh comes when the new credentials are
// delivered, or when it is known why they are not.
type Answer struct {
	Version int     `json:"v"`
	Record  *Record `json:"record,omitempty"` // Refresh: with the profiles that were asked for alone
	Error   string  `json:"error,omitempty"`  // one line
	Hint    string  `json:"hint,omitempty"`   // what to do about it
	PID     int     `json:"-"`                // of who has answered, as the kernel says here; 0: it does not
}

// The states of a run.
const (
	Starting   = "starting"   // there are no credentials to start the command with yet
	Running    = "running"    // the command runs
	Stopped    = "stopped"    // a signal has stopped it (TSTP, STOP); it goes on with CONT
	Stopping   = "stopping"   // it was asked to end
	Restarting = "restarting" // it has ended, and is about to be started again
	Ended      = "ended"      // it has ended, and so will the run
	Keeping    = "keeping"    // there is no command
)

// Record is what a run says of itself. It holds no secret.
type Record struct {
	Version int       `json:"schema"`
	PID     int       `json:"pid"` // in the process id namespace of the run
	Name    string    `json:"name"`
	Command string    `json:"command,omitempty"` // its name: arguments may be secrets
	Began   time.Time `json:"began,omitzero"`    // the run
	State   string    `json:"state"`
	Child   int       `json:"child,omitempty"`   // the process id of the command
	Since   time.Time `json:"since,omitzero"`    // when that was started
	Starts  int       `json:"starts,omitempty"`  // how often
	Exit    string    `json:"exit,omitempty"`    // how it has ended last
	Again   time.Time `json:"again,omitzero"`    // Restarting: when it is started again
	Hangs   bool      `json:"hangs,omitempty"`   // what refreshes does not respond
	Require int       `json:"require,omitempty"` // how many profiles have to have credentials; none: all

	Deliver  string `json:"deliver,omitempty"`  // as --deliver has it
	Requests int    `json:"requests,omitempty"` // of the command, with --deliver sign
	Refused  int    `json:"refused,omitempty"`  // of these, by the run

	DeliveryFailed int    `json:"deliveryFailed,omitempty"` // deliveries that failed in a row
	DeliveryErr    string `json:"deliveryError,omitempty"`  // why the last of them did

	Profiles []Profile `json:"profiles"` // by name
}

// Profile is what a run says of one of its profiles.
type Profile struct {
	Name     string    `json:"name"`
	Source   string    `json:"source"`
	Identity string    `json:"identity,omitempty"` // ARN of the assumed role
	KeyID    string    `json:"keyId,omitempty"`    // access key id of the credentials that are delivered, in full; none: there are none yet
	Issued   time.Time `json:"issued,omitzero"`    // when they were retrieved
	Expires  time.Time `json:"expires,omitzero"`   // zero: never, as far as the source says
	Next     time.Time `json:"next,omitzero"`      // when the source is asked again

	Refreshed int       `json:"refreshed"`           // deliveries after the first
	Failed    int       `json:"failed"`              // failures since the last success
	Failures  int       `json:"failures"`            // since the run began
	Err       string    `json:"error,omitempty"`     // the last failure, if Failed is not 0
	Hint      string    `json:"hint,omitempty"`      // what to do about it
	RequestID string    `json:"requestId,omitempty"` // AWS's, of that failure
	FailedAt  time.Time `json:"failedAt,omitzero"`   // when it was
	Permanent bool      `json:"permanent,omitempty"` // only a person can change it

	Stale    int  `json:"stale"`              // how often no client had read newer credentials in time
	StaleNow bool `json:"staleNow,omitempty"` // and none has since

	LivesOn      string    `json:"livesOn,omitempty"` // what expires: a login, a certificate
	SourceExpiry time.Time `json:"ends,omitzero"`     // and when that expires
}

const (
	// A request names profiles, and an answer tells of them: a thousand take less than a
	// megabyte.
	maxRequest = 256 << 10
	maxAnswer  = 16 << 20

	// Another user's run is not to fill root's memory.
	maxOthersAnswer = 2 << 20

	// An object that is shorter than this many bytes is none of ours: many of them would take
	// far more memory than the answer that they come in.
	minObject, maxShort = 50, 100

	maxClients   = 16 // at once; others wait for one of them to be done
	maxRefreshes = 4  // of these, those that have asked for a refresh, which may take long

	requestTime = 2 * time.Second // from the connection to the whole request
	answerTime  = 5 * time.Second // for the client to take the answer
)
