package writer

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/writer/ini"
	"brs-exec/writer/process"
	"brs-exec/writer/rundir"
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

	mu    sync.Mutex // guards the following
	dir   *rundir.Dir
	last  process.Credentials // delivered last
	reads map[string]process.Read
	lost  bool // the directory, and that was said
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
	p := &Private{plan: plan, reads: map[string]process.Read{}}
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
// now finds them. Each file changes in one step, the state before the credentials file,
// and only if the credentials are other ones. If ours are not among those that are
// delivered nothing changes. They must be usable until Expires on the local clock.
func (p *Private) Deliver(ctx context.Context, delivered map[string]aws.Credentials) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c, ok := delivered[p.opt.Credentials]
	if !ok {
		return nil
	}
	if err := ini.Check(c); err != nil {
		return fmt.Errorf("deliver to %s: %w", p.Dir(), err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	creds := credentialsOf(c, p.last.Delivered)
	if err := p.recover(); err != nil {
		return err
	}
	if creds == p.last && p.dir.IsIntact(process.StateFile, credentialsFile) {
		return nil
	}
	if creds != p.last {
		creds.Delivered = time.Now().Round(0)
	}
	p.noteReads()
	if err := p.dir.Put(process.StateFile, creds.State()); err != nil {
		return err
	}
	if err := p.dir.Put(credentialsFile, p.credentialsText(creds)); err != nil {
		return err
	}
	p.last = creds
	p.dir.Touch(configFile)
	return nil
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

// WriteStatus puts text about this run, which must hold no secret, where [rundir.Runs]
// finds it.
func (p *Private) WriteStatus(text []byte) error {
	_, err := p.Put(rundir.StatusFile, text)
	return err
}

// Sweep removes what other runs that were killed have left; see [rundir.Sweep].
func (p *Private) Sweep() { rundir.Sweep(p.opt.Dirs) }

// Users lists the processes with an id above the given one that were given the
// run directory in their environment, as far as we may look: PID and name.
func (p *Private) Users(above int) []string { return p.dir.Users(above) }
