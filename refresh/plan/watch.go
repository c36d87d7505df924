package plan

import (
	"cmp"
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"brs-exec.example/brs-exec/refresh"
	"brs-exec.example/brs-exec/refresh/source"
)

// List is where the profiles of a run come from, if that can change.
type List struct {
	maker   *maker
	parts   []part    // of each entry
	current []Profile // the list that is in force
	stderr  io.Writer // for what commands print on their standard error

	watchFile func(ctx context.Context, path string, changed func()) // another one for tests
}

// part is what is known of one entry.
type part struct {
	table table     // that could last be read
	err   error     // why a newer one cannot be
	due   time.Time // of a command, when it is run the next time
}

func newList(m *maker, tables []table, current []Profile) *List {
	l := &List{maker: m, current: current, watchFile: source.WatchFile}
	for _, t := range tables {
		l.parts = append(l.parts, part{table: t})
	}
	return l
}

// quiet is how long a file must have been left alone before it is read: a program that writes it
// anew may have written half of it, which is a list, too.
const quiet = time.Second

// minAgain and maxAgain bound the time after which a list is told again that could not be used.
const minAgain, maxAgain = time.Second, time.Minute

// Watch reads the files that the list is made from when they change, and runs its commands from
// time to time. It calls changed with the whole list each time that it has become another one, and,
// once, with what is wrong: what an entry makes then stays as it was, and the list is told
// again when all is well again. changed tells whether the list is in force; one that is not
// is told again, at last each minute: a disk may have been full. Watch blocks until ctx ends.
// There may be one for each list.
func (l *List) Watch(ctx context.Context, changed func([]Profile, error) bool) {
	var files sync.WaitGroup
	defer files.Wait()
	look := make(chan struct{}, 1)
	for i := range l.parts {
		switch e := l.maker.entries[i].each; {
		case !e.changes():
		case e.file != "":
			files.Go(func() {
				refresh.Protect(func() error { l.watchFile(ctx, e.path, func() { wake(look) }); return nil })
			})
		default:
			l.parts[i].due = time.Now().Add(e.every)
		}
	}
	told, again := "", time.Duration(0)
	timer := time.NewTimer(l.untilNext())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look:
			timer.Reset(quiet)
			continue
		case <-timer.C:
		}
		profiles, wrong := l.read(ctx)
		if ctx.Err() != nil {
			return
		}
		text := ""
		if wrong != nil {
			text = wrong.Error()
		}
		another := wrong == nil && told != "" || again > 0 || !slices.EqualFunc(profiles, l.current, Profile.same)
		switch {
		case !another:
		case changed(profiles, nil):
			l.current, again = profiles, 0
		default:
			again = min(max(2*again, minAgain), maxAgain)
		}
		if wrong != nil && (text != told || another) { // what is told last is how it is
			changed(nil, wrong)
		}
		told = text
		next := l.untilNext()
		if again > 0 {
			next = min(next, again)
		}
		timer.Reset(next)
	}
}

// Files are the paths of the files that the list is made from.
func (l *List) Files() (paths []string) {
	for _, e := range l.maker.entries {
		if e.each.changes() && e.each.file != "" {
			paths = append(paths, e.each.path)
		}
	}
	return paths
}

func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// untilNext is the time until the first command is due, an hour if there is none.
func (l *List) untilNext() time.Duration {
	next := time.Hour
	for _, p := range l.parts {
		if !p.due.IsZero() {
			next = min(next, time.Until(p.due))
		}
	}
	return max(next, 0)
}

// read reads the files, and runs the commands that are due. It returns the list, and what is
// wrong with the first entry that is.
func (l *List) read(ctx context.Context) (profiles []Profile, wrong error) {
	tables := make([]table, len(l.parts))
	for i := range l.parts {
		p, e := &l.parts[i], l.maker.entries[i].each
		if tables[i] = p.table; !e.changes() || time.Now().Before(p.due) {
			continue
		}
		t, err := e.read(ctx, l.stderr)
		if p.err = err; err == nil {
			tables[i] = t
		}
		if e.command != nil {
			p.due = time.Now().Add(e.every)
		}
	}
	for range l.parts { // what is wrong with one is no matter of the others
		list, i, err := l.maker.make(tables)
		if profiles = list; err == nil {
			break
		}
		l.parts[i].err, tables[i] = err, l.parts[i].table
	}
	if profiles == nil { // entries that are well each, and not together
		return l.current, l.firstError()
	}
	for i := range l.parts {
		l.parts[i].table = tables[i]
	}
	return profiles, l.firstError()
}

func (l *List) firstError() (err error) {
	for _, p := range l.parts {
		err = cmp.Or(err, p.err)
	}
	return err
}
