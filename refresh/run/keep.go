package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
	"sync"
	"syscall"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/supervisor"
	"brs-exec.example/brs-exec/writer/endpoint"
	"brs-exec.example/brs-exec/writer/filelock"
	"brs-exec.example/brs-exec/writer/volume"
)

// keeper stands where a command would: it is there as long as nobody asks for the end, and
// its signals go to a neighbour.
type keeper struct {
	once      bool
	neighbour interface {
		Round() func(sig syscall.Signal, evenIfUnhandled bool) error
	}
	idle   func(ctx context.Context, ready <-chan struct{}, once bool, started func()) (supervisor.Exit, error)
	notify func(supervisor.Event)
	log    *slog.Logger
	send   chan signal // has one that is to be sent
	said   string      // why the last one was not, which is said once
}

type signal struct {
	number          syscall.Signal
	evenIfUnhandled bool
}

func newKeeper(o Options, notify func(supervisor.Event)) *keeper {
	k := o.Plan.Keep
	return &keeper{once: k.Once, neighbour: k.Neighbour, idle: o.Signals.Idle, notify: notify, log: o.Log, send: make(chan signal, 1)}
}

// Run returns at once when it is asked to: there is nobody to wait for.
func (k *keeper) Run(ctx context.Context, ready <-chan struct{}) (supervisor.Exit, error) {
	var work sync.WaitGroup
	defer work.Wait()
	sending, end := context.WithCancel(ctx)
	defer end()
	work.Go(func() { k.signals(sending) })
	begun := false
	exit, err := k.idle(ctx, ready, k.once, func() {
		begun = true
		k.notify(supervisor.Event{Kind: supervisor.Started})
	})
	if begun {
		k.notify(supervisor.Event{Kind: supervisor.Ended, Exit: exit})
	}
	return exit, err
}

// Signal has the neighbour sent a signal, and does not wait for that.
func (k *keeper) Signal(sig syscall.Signal, evenIfUnhandled bool) error {
	select {
	case k.send <- signal{sig, evenIfUnhandled}:
	default: // one is under way, or is tried again
	}
	return nil
}

// A neighbour that is just being started again may have read what the refresh replaced, and not yet
// have written its number, or not yet handle the signal: it is tried again after
// firstPause, then after twice that, this many times.
const (
	firstPause = time.Second
	attempts   = 6
)

// signals sends signals until ctx ends.
func (k *keeper) signals(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case sig := <-k.send:
			if err := refresh.Protect(func() error { k.signal(ctx, sig); return nil }); err != nil {
				k.log.Error("no signal sent to the other program", "err", err)
			}
		}
	}
}

func (k *keeper) signal(ctx context.Context, sig signal) {
	var err error
	send := k.neighbour.Round()
	for n, pause := 1, firstPause; ; n, pause = n+1, 2*pause {
		if err = send(sig.number, sig.evenIfUnhandled); err == nil {
			k.said = ""
			return
		}
		if n == attempts {
			break
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
	if err.Error() != k.said {
		k.said = err.Error()
		k.log.Warn("no signal sent to the other program", "err", err)
	}
}

func (k *keeper) Restart() error { return errors.New("internal error: there is no command to restart") }

var volumeModes = map[string]volume.Mode{"auto": volume.Auto, "file": volume.File, "process": volume.Process, "endpoint": volume.Endpoint}

// openVolume opens the directory of --run-dir.
func (d *deliveries) openVolume(_ context.Context, o Options) (err error) {
	k := o.Plan.Keep
	if k == nil || k.Dir == "" {
		return nil
	}
	d.volume, err = volume.Open(volume.Options{
		Path: k.Dir, As: k.As, Profiles: d.volumeProfiles(d.profiles.all()), List: o.Plan.Profiles[0].Where != "", Mode: volumeModes[o.Plan.Deliver.Name],
		Perm: k.Perm, Owner: k.Owner, Remove: k.Remove, KeepIMDS: o.Plan.KeepIMDS, Notify: func(note string) { o.Log.Warn(note) },
	})
	if err != nil {
		return volumeError(err)
	}
	d.add(delivery{name: "the directory of --run-dir", Delivery: d.volume, run: d.volume.Run, steps: d.volume.Steps, close: func() {
		if err := d.volume.Close(); err != nil {
			o.Log.Warn("the directory of --run-dir could not be put back", "err", err)
		}
	}})
	return nil
}

func (d *deliveries) volumeProfiles(list []*profile) (to []volume.Profile) {
	for _, one := range d.private(list) {
		to = append(to, volume.Profile(one))
	}
	return to
}

// volumeError says what to do about a directory that cannot be used.
func volumeError(err error) error {
	hint := ""
	var owner *volume.OwnerError
	switch {
	case errors.Is(err, filelock.ErrLocked):
		return fmt.Errorf("--run-dir %w", err)
	case errors.Is(err, volume.ErrForeign):
		hint = "name a directory without files of these names (config, credentials, token, env), or move that file away"
	case errors.Is(err, volume.ErrLeft):
		hint = "if no other user keeps the directory, remove that file"
	case errors.Is(err, volume.ErrShared):
		hint = "make a directory of its own in it"
	case errors.As(err, &owner):
		hint = fmt.Sprintf("if the files are for that user say so: --file-owner %d", owner.UID)
	case errors.Is(err, fs.ErrPermission):
		hint = "this user has to be able to write there; of files only root may change the owner, and others the group to one of their own (fsGroup, SupplementaryGroups=)"
	}
	return &plan.Error{Flag: "run-dir", Text: err.Error(), Hint: hint}
}

// listen opens the endpoint. That of keep is where it was the last time: the neighbours
// have read their environment once.
func (d *deliveries) listen(o Options, e endpoint.Options) (*endpoint.Server, error) {
	if d.volume == nil {
		return endpoint.Listen(e)
	}
	before := d.volume.Endpoint()
	if before != "" {
		if err := json.Unmarshal([]byte(before), &e.Again); err != nil {
			e.Again = endpoint.At{}
		}
	}
	e.Port = o.Plan.Keep.Port
	server, err := endpoint.Listen(e)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &plan.Error{Flag: "endpoint-port", Text: strconv.Itoa(e.Port) + ": another program has that port", Hint: "another port"}
	}
	if err != nil {
		return nil, err
	}
	at := server.At()
	if e.Again.Address != "" && at != e.Again {
		o.Log.Warn("the endpoint is not where it was before: programs that have read its address have to be restarted", "before", e.Again.Address, "now", at.Address)
	}
	text, err := json.Marshal(at)
	if err != nil {
		return nil, err
	}
	if err := d.volume.SetEndpoint(server.Env(), server.Token(), string(text)); err != nil {
		return nil, volumeError(err)
	}
	return server, nil
}
