package writer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/writer/ini"
	"brs-exec.example/brs-exec/writer/process"
	"brs-exec.example/brs-exec/writer/rundir"
)

// Names in the run directory.
const (
	configFile      = rundir.ConfigFile
	credentialsFile = "credentials"
	programLink     = "brs-exec"
)

// Private is a run directory, which only this user can enter, with the files
// that the command's SDKs read. It is a delivery of credentials to them.
type Private struct {
	*plan
	path    string // of the run directory
	process string // the command line of the credential_process; "" where there is none

	mu          sync.Mutex // guards the following, and the list
	dir         *rundir.Dir
	credentials *ini.File    // as it is delivered
	static      *ini.Section // in it, while the default profile has credentials
	unwritten   bool         // the credentials file is not what was written
	deliveries  int          // so many changed a file
	shared      sharedReads
	lost        bool // the directory, and that was said
}

// profile is a profile with what was delivered of it.
type profile struct {
	Profile
	sections []*ini.Section      // in the credentials file
	last     process.Credentials // delivered last; zero: none, or they were taken away
	since    int                 // the delivery that brought them
	reads    Reads               // the last ones of those before, and of its state file
}

// NewPrivate makes the run directory and puts the config file into it. The
// caller must Close it, and should Keep it. It fails if no directory can be used, or
// if a file of the user's is not one that AWS parsers can read, with the file and
// the line.
func NewPrivate(opt Options) (*Private, error) {
	if opt.Mode.byProcess() && !filepath.IsAbs(opt.Executable) {
		return nil, fmt.Errorf("credential process %q: not an absolute path", opt.Executable)
	}
	plan, err := newPlan(opt)
	if err != nil {
		return nil, err
	}
	p := &Private{plan: plan, unwritten: true}
	p.dir, err = rundir.Make(opt.Dirs, func(d *rundir.Dir) error {
		p.path = d.Path()
		if err := p.setProcess(d); err != nil {
			return err
		}
		return d.Put(configFile, p.configText())
	})
	if err != nil {
		return nil, err
	}
	p.prepareCredentials()
	return p, nil
}

// setProcess makes the command line of the credential_process. A program whose
// path not every SDK can split is run through a link in the run directory.
func (p *Private) setProcess(d *rundir.Dir) error {
	if !p.opt.Mode.byProcess() {
		return nil
	}
	program := p.opt.Executable
	switch {
	case rundir.PlainPath(program):
	case runtime.GOOS == "windows": // links need a privilege, but quotes are understood
		program = `"` + program + `"`
	default:
		if err := d.Link(programLink, program); err != nil {
			return err
		}
		program = filepath.Join(d.Path(), programLink)
	}
	p.process = program + " credentials --run-dir " + d.Path()
	return nil
}

// Dir returns the run directory.
func (p *Private) Dir() string { return p.path }

// Deliver writes the credentials to the files; when it returns nil a client that looks
// now finds them. Each file changes in one step, the states before the credentials file,
// and only if the credentials are other ones: a state for each profile whose are, and
// the credentials file once for all of them. Those of a name that is no profile of ours
// are passed over. They must be usable until Expires on the local clock. The zero value
// takes away what was delivered of a profile before. Credentials that cannot be
// delivered are an error, and keep no others back.
func (p *Private) Deliver(ctx context.Context, delivered map[string]aws.Credentials) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var ours []*profile
	var errs []error
	for name, c := range delivered {
		of := p.list.byName[name]
		if of == nil {
			continue
		}
		if err := ini.Check(c); err != nil && c != (aws.Credentials{}) {
			errs = append(errs, fmt.Errorf("deliver to %s: %w", p.Dir(), err))
			continue
		}
		ours = append(ours, of)
	}
	if len(ours) > 0 {
		errs = append(errs, p.deliver(ours, delivered))
	}
	return errors.Join(errs...)
}

func (p *Private) deliver(ours []*profile, delivered map[string]aws.Credentials) error {
	if !p.dir.IsThere() { // what is missing in it waits for Keep
		if err := p.recover(); err != nil {
			return err
		}
	}
	changed := slices.DeleteFunc(ours, func(of *profile) bool { return p.holds(of, delivered[of.Name]) })
	if len(changed) == 0 && !p.unwritten && p.dir.IsIntact(credentialsFile) {
		return nil
	}
	p.noteShared()
	p.deliveries++
	for _, of := range changed {
		if err := p.deliverState(of, delivered[of.Name]); err != nil {
			return err
		}
	}
	if p.unwritten || !p.dir.IsIntact(credentialsFile) {
		if err := p.writeCredentials(); err != nil {
			return err
		}
	}
	p.dir.Touch(configFile)
	return nil
}

// holds tells whether the files have the credentials already.
func (p *Private) holds(of *profile, c aws.Credentials) bool {
	if credentialsOf(c, of.last.Delivered) != of.last {
		return false
	}
	return of.last.AccessKeyID == "" || p.dir.IsIntact(p.list.states(of)...)
}

// deliverState writes the credentials of one profile to its state, and puts them into
// the text of the credentials file.
func (p *Private) deliverState(of *profile, c aws.Credentials) error {
	p.noteState(of)
	creds := credentialsOf(c, of.last.Delivered)
	same := creds == of.last
	if !same {
		creds.Delivered = time.Now().Round(0)
	}
	for _, name := range p.list.states(of) {
		if err := p.putState(name, creds); err != nil {
			return err
		}
	}
	if same {
		return nil
	}
	of.reads = p.readsOf(of)
	of.last, of.since = creds, p.deliveries
	if creds.AccessKeyID == "" {
		of.last = process.Credentials{}
	}
	p.setKeys(of)
	p.unwritten = p.unwritten || p.opt.Mode == File || of == p.list.byDefault
	return nil
}

func (p *Private) putState(name string, creds process.Credentials) error {
	if creds.AccessKeyID == "" {
		return p.dir.Drop(name)
	}
	return p.dir.PutFrom(name, creds.State)
}

func (p *Private) writeCredentials() error {
	p.unwritten = true
	err := p.dir.Put(credentialsFile, p.credentials.Bytes())
	p.unwritten = err != nil
	return err
}

// states are the names of the profile's state files: that of the command's default
// is there without a name, too.
func (l *list) states(of *profile) (names []string) {
	if l.many {
		names = append(names, process.StateOf(of.Name))
	}
	if of == l.byDefault {
		names = append(names, process.StateFile)
	}
	return names
}

// SetProfiles has other profiles from now on. Those with a Name that was there before
// keep what was delivered; of the others that is taken away, and of new ones there is
// nothing yet. The config and the credentials file are written once, and only if they
// change. If it fails because of the profiles nothing has changed. The environment of
// the command names the same profile as ever.
func (p *Private) SetProfiles(profiles []Profile) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	next, err := newList(profiles, p.starting, true)
	if err != nil {
		return err
	}
	if err := p.recover(); err != nil {
		return err
	}
	p.noteShared()
	was := p.list
	for _, of := range next.profiles {
		if before := was.byName[of.Name]; before != nil {
			p.noteState(before)
			of.last, of.since, of.reads = before.last, before.since, before.reads
		}
	}
	p.list = next
	p.deliveries++
	p.prepareCredentials()
	for _, of := range next.profiles {
		p.setKeys(of)
	}
	return p.writeList(was)
}

// Default returns the Name of the command's default profile; "" if it was taken out of the
// list.
func (p *Private) Default() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list.byDefault == nil {
		return ""
	}
	return p.list.byDefault.Name
}

// writeList writes what another list of profiles changes: first what clients need to
// find those of the new one, and then takes away what was of the old one alone.
func (p *Private) writeList(was list) error {
	kept := map[string]bool{}
	for _, of := range p.list.profiles {
		for _, name := range p.list.states(of) {
			kept[name] = of.last.AccessKeyID != ""
			if kept[name] && !bytes.Equal(of.last.State(), p.dir.Content(name)) {
				if err := p.putState(name, of.last); err != nil {
					return err
				}
			}
		}
	}
	if config := p.configText(); !bytes.Equal(config, p.dir.Content(configFile)) {
		if err := p.dir.Put(configFile, config); err != nil {
			return err
		}
	}
	if p.unwritten || !bytes.Equal(p.credentials.Bytes(), p.dir.Content(credentialsFile)) {
		if err := p.writeCredentials(); err != nil {
			return err
		}
	}
	var errs []error
	for _, of := range was.profiles {
		for _, name := range was.states(of) {
			if !kept[name] {
				errs = append(errs, p.dir.Drop(name))
			}
		}
	}
	return errors.Join(errs...)
}

// Close removes the run directory with all that is in it.
func (p *Private) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.dir.Remove(); err != nil {
		return fmt.Errorf("remove run directory: %w", err)
	}
	return nil
}

// Steps returns how many files of the run directory were written and removed so far. As
// long as it grows, a call that takes long does not hang.
func (p *Private) Steps() uint64 { return p.dir.Steps() }

func credentialsOf(c aws.Credentials, delivered time.Time) process.Credentials {
	creds := process.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
		Delivered: delivered,
	}
	if c.CanExpire {
		creds.Expires = c.Expires.Round(0).UTC()
	}
	return creds
}

// Put puts one more file into the run directory, or a newer one, and returns its path.
// It changes in one step, and is in Keep's care.
func (p *Private) Put(name string, content []byte) (path string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.dir.Put(name, content); err != nil {
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	return filepath.Join(p.path, name), nil
}

// Open opens the run directory as it is now; the caller must close it.
func (p *Private) Open() (*os.Root, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dir.Open()
}

// Users lists the processes that were given the run directory in their environment; see
// [rundir.Dir.Users].
func (p *Private) Users(first int, ago time.Duration) []string { return p.dir.Users(first, ago) }
