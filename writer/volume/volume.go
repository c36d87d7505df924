// Package volume delivers credentials to a directory that the user names: one that
// another container sees as well, or the /run/NAME of a systemd unit. Its readers are
// programs that this one does not start, so they are told what to set by one of the files.
//
// The directory is the user's: what else is in it is neither changed nor removed, and a
// file that bears one of our names and is not from us is an error. It is opened once, by
// a path that no other user can turn, and held by a descriptor. Each file changes in one
// step, so that no reader ever sees half of one; a reader of several may see an older one
// beside a newer one.
//
// Nothing is removed at the end unless that is asked for: who restarts must not take
// away what others live on.
package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/writer/ini"
	"brs-exec.example/brs-exec/writer/process"
	"brs-exec.example/brs-exec/writer/replace"
)

// allFiles are those that there may be besides the answers of a credential_process.
var allFiles = []string{configFile, credentialsFile, tokenFile, variablesFile}

// Mode says which way the readers are led by the file of variables.
type Mode int

const (
	// Auto leads them to the endpoint, and has files for those that know no endpoint.
	Auto Mode = iota
	// File leads them to a credentials file with the keys.
	File
	// Process leads them to profiles that run cat on a file in the format of a
	// credential_process, so that SDKs notice the expiry.
	Process
	// Endpoint leads them to the endpoint, and puts no keys into any file.
	Endpoint
)

// The files.
const (
	configFile      = "config"
	credentialsFile = "credentials"
	tokenFile       = "token"
	variablesFile   = "env"
)

// Profile is one set of credentials, and what its readers find it under.
type Profile struct {
	Name   string   // in the map that Deliver is given, and of the profile
	Region string   // "" for none
	As     []string // further names of the profile
}

// Options says what a [Dir] is. Path is required.
type Options struct {
	Path string // absolute
	// As is the path that its readers know it by, "" if they know it by the same.
	As string
	// Profiles are those to keep. That named default, else the first, is also [default].
	Profiles []Profile
	// List says that Profiles are a list, whose members each have a name of their own.
	List bool
	Mode Mode
	// Perm is the mode of the files; 0 is 0600. A directory that has to be made gets
	// the same, with the right to enter it for who may read.
	Perm fs.FileMode
	// Owner is whose the files are, and the directory if it has to be made; nil leaves
	// that to the system: ours, and of the group of a set-group-id directory.
	Owner *replace.Owner
	// Remove has Close remove our files.
	Remove bool
	// KeepIMDS leaves the instance metadata service to the readers.
	KeepIMDS bool
	// Notify, if not nil, is called with what a person should know.
	Notify func(note string)
}

// Dir is such a directory, and a delivery to it. Its methods may be called from several
// goroutines.
type Dir struct {
	opt   Options
	steps atomic.Uint64 // files looked after: written, found as they should be, or removed

	mu       sync.Mutex // guards the following
	held     *held
	said     bool // that it is gone
	profiles []Profile
	sets     map[string]process.Credentials
	files    map[string]string // what belongs there
	lead     []string          // the variables of the endpoint
}

// Open opens the directory, or makes it, takes its lock and puts in what is no secret.
// It fails with a [filelock.ErrLocked] if another process has it. The caller must Close it.
func Open(o Options) (*Dir, error) {
	o.Path = filepath.Clean(o.Path)
	if o.As == "" {
		o.As = o.Path
	}
	if o.Perm == 0 {
		o.Perm = 0o600
	}
	if !plain(o.As) {
		return nil, fmt.Errorf("%s: the path has characters other than letters, digits and _./-, which not every reader of a file of variables takes", o.As)
	}
	d := &Dir{opt: o, sets: map[string]process.Credentials{}, files: map[string]string{}}
	var err error
	if d.held, err = openHeld(o); err != nil {
		return nil, err
	}
	for _, note := range d.held.notes {
		d.tell(note)
	}
	err = d.looked()
	if err == nil {
		err = d.SetProfiles(o.Profiles)
	}
	if err != nil {
		d.held.close()
		return nil, err
	}
	return d, nil
}

// looked says, before anything is retrieved, which of the names are taken.
func (d *Dir) looked() error {
	for _, name := range allFiles {
		if err := d.held.isOurs(name); err != nil {
			return err
		}
	}
	return nil
}

// SetProfiles replaces the list of profiles. Those that are no longer in it are gone for
// who looks now.
func (d *Dir) SetProfiles(list []Profile) error {
	for _, p := range list {
		for _, name := range append([]string{p.Name}, p.As...) {
			if err := ini.CheckProfile(name); err != nil {
				return err
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.profiles = slices.Clone(list)
	maps.DeleteFunc(d.sets, func(name string, _ process.Credentials) bool {
		return !slices.ContainsFunc(list, func(p Profile) bool { return p.Name == name })
	})
	d.files[configFile] = d.configText()
	return d.write()
}

// Deliver writes the credentials; when it returns nil, who looks now finds them. A
// profile whose credentials are zero is removed. Others than ours are passed over.
func (d *Dir) Deliver(ctx context.Context, sets map[string]aws.Credentials) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, c := range sets {
		switch {
		case !slices.ContainsFunc(d.profiles, func(p Profile) bool { return p.Name == name }):
		case c.AccessKeyID == "":
			delete(d.sets, name)
		default:
			if err := ini.Check(c); err != nil {
				return fmt.Errorf("deliver to %s: %w", d.opt.Path, err)
			}
			d.sets[name] = credentialsOf(c, d.sets[name])
		}
	}
	d.render()
	return d.write()
}

func credentialsOf(c aws.Credentials, was process.Credentials) process.Credentials {
	set := process.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Delivered: was.Delivered}
	if c.CanExpire {
		set.Expires = c.Expires.Round(0).UTC()
	}
	if set != was {
		set.Delivered = time.Now().Round(0)
	}
	return set
}

// render makes the files that hold credentials, and that which tells of all others: once
// it is there, all are.
func (d *Dir) render() {
	maps.DeleteFunc(d.files, func(name, _ string) bool { return isAnswer(name) })
	if d.opt.Mode == Auto || d.opt.Mode == File {
		d.files[credentialsFile] = d.credentialsText()
	}
	for _, p := range d.profiles {
		set, ok := d.sets[p.Name]
		if !ok || !d.answers() {
			continue
		}
		if line, err := set.Line(set.Delivered); err == nil { // else they have expired already
			d.files[answerFile(p.Name)] = string(line)
		}
	}
	if len(d.sets) > 0 {
		d.files[variablesFile] = d.variablesText()
	}
}

// order is that in which files are written: what others lead to comes before them.
func order(name string) int {
	switch name {
	case variablesFile:
		return 3
	case configFile:
		return 2
	case credentialsFile:
		return 1
	}
	return 0
}

// write puts every file that is not as it should be.
func (d *Dir) write() error {
	if err := d.reopen(); err != nil {
		return err
	}
	names := slices.SortedFunc(maps.Keys(d.files), func(a, b string) int {
		if n := order(a) - order(b); n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		if err := d.held.put(name, d.files[name]); err != nil {
			return err
		}
		d.steps.Add(1)
	}
	for name := range d.held.written { // of profiles that are no longer there
		if _, ok := d.files[name]; !ok {
			d.held.remove(name)
		}
	}
	return nil
}

// reopen opens the directory again if the path leads to another one now, or to none: a
// unit's /run/NAME comes and goes with the unit.
func (d *Dir) reopen() error {
	if d.held == nil {
		return fs.ErrClosed
	}
	if d.held.isThere() {
		d.said = false
		return nil
	}
	again, err := openHeld(d.opt)
	if err != nil {
		return fmt.Errorf("%s is gone: %w", d.opt.Path, err)
	}
	again.copyState(d.held)
	d.held.close()
	d.held = again
	return nil
}

// keepEvery is how long the readers may be without a file that something has removed.
const keepEvery = 15 * time.Second

// Run puts back, until ctx ends, what something else has removed.
func (d *Dir) Run(ctx context.Context) error {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			d.look()
		}
	}
}

func (d *Dir) look() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held == nil || d.held.isThere() && !d.held.missing(d.files) {
		return
	}
	err := d.write()
	switch {
	case err == nil:
		d.tell(fmt.Sprintf("%s, or a file in it, was removed by something else, and was made again", d.opt.Path))
	case !d.said:
		d.tell(fmt.Sprintf("%v; brs-exec keeps trying", err))
		d.said = true
	}
}

// Close gives the directory up, and removes our files if that was asked for.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held == nil {
		return nil
	}
	var errs []error
	if d.opt.Remove {
		for _, name := range slices.AppendSeq(slices.Clone(allFiles), maps.Keys(d.files)) {
			if err := d.held.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
			}
			d.steps.Add(1)
		}
		d.held.root.Remove(lockFile)
	}
	d.held.close()
	d.held = nil
	return errors.Join(errs...)
}

// Steps returns how many files were looked after so far. As long as it grows, a call that
// takes long does not hang.
func (d *Dir) Steps() uint64 { return d.steps.Load() }

// Endpoint returns what an earlier keeper of the directory said of its endpoint with
// SetEndpoint, "" if there was none.
func (d *Dir) Endpoint() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.held.state
}

// SetEndpoint leads the readers to an endpoint: by these variables, and the token in a
// file. state is what Endpoint returns to the next keeper of the directory.
func (d *Dir) SetEndpoint(variables []string, token, state string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lead = slices.Clone(variables)
	if d.opt.Mode == Auto {
		// By itself the endpoint is for readers that cannot read files of ours, and most SDKs prefer
		// this variable, and fail.
		d.files[tokenFile] = token
		d.lead = append(d.lead, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+d.seen(tokenFile))
	}
	if err := d.held.setState(state); err != nil {
		return err
	}
	return d.write()
}

// seen is the path of a file as the readers see it.
func (d *Dir) seen(name string) string { return filepath.Join(d.opt.As, name) }

func (d *Dir) tell(note string) {
	if d.opt.Notify != nil {
		d.opt.Notify(note)
	}
}

// ErrForeign means that a file bears one of our names and is not from us.
var ErrForeign = errors.New("is not from brs-exec")

// ErrLeft means that the lock is none that we could have made.
var ErrLeft = errors.New("the keep of another user may have left it")

// ErrShared means that the directory is one in which all users make files.
var ErrShared = errors.New("all users make their files there")

// An OwnerError means that the directory is another user's.
type OwnerError struct {
	Path string
	UID  int
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("%s is user %d's, who could put other files in place of these", e.Path, e.UID)
}

// stat is what os.Lstat says of the path.
func stat(path string) fs.FileInfo {
	info, err := os.Lstat(path)
	if err != nil {
		return nil
	}
	return info
}
