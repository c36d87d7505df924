package run

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/refresh/source"
	"brs-exec.example/brs-exec/supervisor/sdnotify"
	"brs-exec.example/brs-exec/writer"
	"brs-exec.example/brs-exec/writer/endpoint"
	"brs-exec.example/brs-exec/writer/process"
	"brs-exec.example/brs-exec/writer/shared"
	"brs-exec.example/brs-exec/writer/stale"
	"brs-exec.example/brs-exec/writer/volume"
)

// delivery is one way in which the command gets the credentials.
type delivery struct {
	name    string // for people: what there is not while run does not
	instant bool   // Deliver waits for nobody: it is in memory, or in the run directory

	// Each of these may be nil.
	refresh.Delivery
	env   func() []string             // what the command's environment has besides, at each start
	run   func(context.Context) error // works as long as the command runs
	close func()                      // tidies up
	steps func() uint64               // grows as long as close, or what close waits for, does not hang

	by   stale.Delivery
	read func(profile string) process.Read // when a client last got its credentials in this way

	setDefault func(profile string) // has another be the one of clients that name none
}

// deliveries are those of a run.
type deliveries struct {
	files       *writer.Private
	shared      *shared.File // of --credentials-file; nil if there is none
	signer      signer       // of a rehearsal; nil if there is none
	volume      *volume.Dir  // for the neighbours of keep; nil if there is none
	list        []delivery
	as          []string // further names of the default profile
	region      string   // that the files have
	profiles    *profiles
	run         *parts
	local       func(profile string) aws.Credentials // with --deliver sign, what files and environment have
	notifyChild bool                                 // the command talks to systemd itself
}

// openDeliveries makes the run directory and what the command is to find in it, and
// opens what was asked for beside it.
func openDeliveries(ctx context.Context, o Options, p *parts, ps *profiles) (_ *deliveries, err error) {
	d := &deliveries{run: p, profiles: ps, as: o.Plan.As, region: ps.first().src.Region(), notifyChild: o.Plan.NotifyChild}
	if err := d.openFiles(o); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	for _, open := range []func(context.Context, Options) error{d.openVolume, d.openEndpoint, d.openIMDS, d.openSign, d.openShared, d.openVariables} {
		if err := open(ctx, o); err != nil {
			return nil, err
		}
	}
	o.Log.Info("source", "from", ps.describe(), "dir", d.files.Dir())
	if o.Log.Enabled(ctx, slog.LevelInfo) {
		if _, scrubbed := d.files.Env(os.Environ()); len(scrubbed) > 0 {
			o.Log.Info("removed from the command's environment", "names", strings.Join(scrubbed, " "))
		}
	}
	return d, nil
}

func (d *deliveries) add(one delivery) { d.list = append(d.list, one) }

// engine lists them for the engine. count has the calls of one counted.
func (d *deliveries) engine(count func(name string, d refresh.Delivery) refresh.Delivery) (list []refresh.Delivery) {
	for _, one := range d.list {
		if one.Delivery != nil {
			list = append(list, count(one.name, one.Delivery))
		}
	}
	return list
}

// instant tells whether all of them are.
func (d *deliveries) instant() bool {
	return !slices.ContainsFunc(d.list, func(one delivery) bool { return !one.instant })
}

// parts lists what works beside them.
func (d *deliveries) parts() (list []Part) {
	for _, one := range d.list {
		list = append(list, Part{Name: one.name, Run: one.run})
	}
	// It also sweeps, which for once does not wait: there may be machines where all runs are short. One
	// that ends before the parts begin never sweeps: a run so short has next to no time to leave anything.
	return append(list, Part{Name: "the watch of the run directory", Run: d.files.Keep, Late: rand.IntN(sweepShort) > 0})
}

// sweepShort is of how many short runs one sweeps.
const sweepShort = 16

// environ is the environment of the command, once there are credentials: ours, with the
// variables that the deliveries add.
func (d *deliveries) environ() []string {
	var more []string
	for _, one := range d.list {
		if one.env != nil {
			more = append(more, one.env()...)
		}
	}
	if region := d.profiles.first().src.Region(); region != d.region { // only the instance knows it, and the files therefore do not have it
		more = append(more, "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region)
	}
	env, _ := d.files.Env(os.Environ(), more...)
	return sdnotify.Env(env, d.notifyChild)
}

// close tidies up, what was opened last first.
func (d *deliveries) close() {
	for _, one := range slices.Backward(d.list) {
		if one.close != nil {
			d.run.finish(one.name, one.close, one.steps)
		}
	}
}

// openFiles makes the run directory.
func (d *deliveries) openFiles(o Options) error {
	self, mode, err := writer.Self(o.Plan.Deliver.Files)
	if mode != o.Plan.Deliver.Files {
		o.Log.Info("the command finds the endpoint alone, and no profile", "why", err)
	}
	w := writer.Options{
		Profiles: d.private(d.profiles.all()), Mode: mode,
		Executable: self, OwnKeys: o.Plan.Deliver.Sign, OwnEndpoints: o.signs(), KeepIMDS: o.Plan.KeepIMDS,
		Notify: vanished(o.Log), NextLook: refresh.NextBeat,
	}
	w.ConfigFile, w.CredentialsFile = source.SharedFiles()
	if d.files, err = writer.NewPrivate(w); err != nil {
		return err
	}
	o.Signals.AtEnd(func() { d.files.Close() })
	for _, note := range d.files.Notes() {
		o.Log.Warn(note)
	}
	d.add(delivery{name: "the run directory", instant: true, Delivery: d.toFiles(o.Plan.Deliver.Sign), steps: d.files.Steps, close: func() {
		if err := d.files.Close(); err != nil {
			o.Log.Warn("the run directory could not be removed", "err", err)
		}
	}})
	return nil
}

// private are the profiles of the run directory. The default one comes first.
func (d *deliveries) private(list []*profile) []writer.Profile {
	to := make([]writer.Profile, 0, len(list))
	for _, p := range list {
		one := writer.Profile{Name: p.Name, Region: p.src.Region()}
		if p.Name == d.profiles.first().Name {
			one.As = d.as
		}
		to = append(to, one)
	}
	return to
}

// setProfiles has the command find these profiles. What was delivered of those that stay
// stays; of those that go the engine takes it away.
func (d *deliveries) setProfiles(ctx context.Context, o Options, list []*profile) error {
	if d.shared != nil { // first: another run may keep one of the sections
		sections, from := sectionsOf(o.Plan, list)
		if err := d.shared.SetSections(ctx, sections, from); err != nil {
			return o.Plan.SharedError(err)
		}
	}
	if d.volume != nil {
		if err := d.volume.SetProfiles(d.volumeProfiles(list)); err != nil {
			return err
		}
	}
	if err := d.files.SetProfiles(d.private(list)); err != nil {
		return err
	}
	for _, one := range d.list {
		if one.setDefault != nil {
			one.setDefault(d.files.Default())
		}
	}
	return nil
}

// vanished says what became of a run directory that something took away.
func vanished(log *slog.Logger) func(note string, err error) {
	return func(note string, err error) {
		if err != nil {
			log.Error(note, "err", err)
			return
		}
		log.Warn(note)
	}
}

func (d *deliveries) openEndpoint(_ context.Context, o Options) error {
	if !o.Plan.Deliver.Endpoint {
		return nil
	}
	server, err := d.listen(o, endpoint.Options{Profile: d.profiles.first().Name, Notify: socketEvent(o.Log)})
	if err != nil {
		return err
	}
	env := server.Env()
	if o.Plan.Deliver.Files == writer.Auto {
		// Rust's object_store knows only the file. By itself the endpoint is for commands that cannot
		// read it (another user, another root), and most SDKs prefer it to the token, and fail.
		path, err := d.files.Put("token", []byte(server.Token()))
		if err != nil {
			return err
		}
		env = append(env, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE="+path)
	}
	d.add(delivery{
		name: "the endpoint", instant: true, Delivery: server, env: func() []string { return env }, run: server.Run,
		by: stale.Endpoint, read: server.LastRead, setDefault: server.SetProfile,
	})
	return nil
}

func (d *deliveries) openIMDS(_ context.Context, o Options) error {
	if !o.Plan.Deliver.IMDS {
		return nil
	}
	server, err := endpoint.ListenIMDS(endpoint.Options{Profile: d.profiles.first().Name, Region: d.region, AllowV1: o.Plan.Deliver.V1, Notify: socketEvent(o.Log)})
	if errors.Is(err, endpoint.ErrNobody) {
		err = &plan.Error{Flag: "deliver", Text: "imds: " + err.Error(), Hint: "--deliver endpoint asks for a token; or map this user to a number of its own"}
	}
	if err != nil {
		return err
	}
	d.add(delivery{
		name: "the instance metadata service", instant: true, Delivery: server, run: server.Run,
		env: func() []string { return append(server.Env(), "AWS_EC2_METADATA_DISABLED=false") },
		by:  stale.IMDS, read: server.LastRead, setDefault: server.SetProfile,
	})
	return nil
}

// socketEvent logs that the socket of the endpoint has failed, or works again.
func socketEvent(log *slog.Logger) func(error) {
	return socketOf(log, "requests for credentials are", "answered", "asks for credentials")
}

// signEvent is socketEvent for the signing proxy.
func signEvent(log *slog.Logger) func(error) {
	return socketOf(log, "requests are", "signed", "sends its requests to")
}

func socketOf(log *slog.Logger, requests, served, asked string) func(error) {
	return func(err error) {
		switch {
		case err == nil:
			log.Warn("the command's " + requests + " " + served + " again")
		case errors.Is(err, syscall.EADDRINUSE):
			log.Error("another program has the port that the command "+asked+": do not trust what the command gets there; trying to get the port back", "err", err)
		default:
			log.Error("the command's "+requests+" not "+served+"; brs-exec retries", "err", err)
		}
	}
}

// tidyTime is how long the file of --credentials-file may take, once the command
// has ended, to be as it should be left: whoever waits for brs-exec to end has no patience.
const tidyTime = 2 * time.Second

// openShared opens the file of --credentials-file. It may have to wait for others who
// have the file.
func (d *deliveries) openShared(ctx context.Context, o Options) error {
	if o.Plan.Shared.Path == "" {
		return nil
	}
	w := o.Plan.SharedOptions(sectionsOf(o.Plan, d.profiles.all()))
	w.Notify = func(note string) { o.Log.Warn(note) }
	var file *shared.File
	err := o.Signals.BeforeRun(ctx, func(ctx context.Context) (err error) {
		file, err = shared.Open(ctx, w)
		return err
	})
	if err != nil {
		return o.Plan.SharedError(err)
	}
	d.shared = file
	o.Signals.AtEnd(func() { file.Close(context.Background()) }) // which waits no longer than it will
	for _, note := range file.Notes() {
		o.Log.Warn(note)
	}
	d.add(delivery{name: "the watch of the credentials file", Delivery: file, run: file.Run, close: func() {
		// It does not take long, and a signal that asks for the end makes it shorter.
		ctx, cancel := context.WithTimeout(context.Background(), tidyTime)
		defer cancel()
		if err := o.Signals.AfterRun(ctx, file.Close); err != nil {
			o.Log.Warn("the credentials file could not be put back", "err", err)
		}
	}})
	return nil
}

func (d *deliveries) openVariables(_ context.Context, o Options) error {
	if o.Plan.Deliver.Env {
		keys := &variables{name: d.profiles.first().Name}
		d.add(delivery{name: "the variables", instant: true, Delivery: keys, env: keys.env})
	}
	return nil
}

// variables is a delivery to the environment of the next start.
type variables struct {
	name  string // of the profile
	mu    sync.Mutex
	creds aws.Credentials
}

// Deliver keeps the credentials for the next start.
func (v *variables) Deliver(_ context.Context, sets map[string]aws.Credentials) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if creds, ok := sets[v.name]; ok {
		v.creds = creds
	}
	return nil
}

func (v *variables) env() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return writer.KeyVariables(v.creds)
}
