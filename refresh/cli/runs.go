package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"brs-exec.example/brs-exec/refresh/control"
	"brs-exec.example/brs-exec/refresh/plan"
	"brs-exec.example/brs-exec/writer/rundir"
)

// A seen run is one that was found, and what it says of itself.
type seenRun struct {
	rundir.Run
	record control.Record
	err    error // why it says nothing
}

// askTime is how long all runs together may take to answer.
const askTime = 3 * time.Second

// maxAsked is how many are asked at a time: each takes descriptors of ours.
const maxAsked = 100

// seenRuns asks all runs that this user may ask, side by side: one that is stopped, or
// lies, costs the others nothing. None is waited for longer than within. If word is the
// process id of one, that is the only one.
func seenRuns(word string, within time.Duration) []seenRun {
	found := append(rundir.Runs(nil), rundir.OthersRuns(nil)...)
	isWord := func(r rundir.Run) bool { return strconv.Itoa(r.PID) == word }
	if slices.ContainsFunc(found, isWord) {
		found = slices.DeleteFunc(found, func(r rundir.Run) bool { return !isWord(r) })
	}
	seen := make([]seenRun, len(found))
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	turns := make(chan struct{}, maxAsked)
	var work sync.WaitGroup
	for i, run := range found {
		work.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			seen[i] = askRun(ctx, run)
		})
	}
	work.Wait()
	seen = slices.DeleteFunc(seen, func(s seenRun) bool { return s.PID == 0 })
	slices.SortStableFunc(seen, func(a, b seenRun) int { return a.PID - b.PID })
	return seen
}

// askRun asks one run what it holds.
func askRun(ctx context.Context, found rundir.Run) seenRun {
	s := seenRun{Run: found}
	a, err := control.Ask(ctx, found.Dir, found.UID, control.Request{Do: control.Status})
	switch {
	case err != nil:
		s.err = err
	case a.Record == nil:
		s.err = errors.New(a.Error)
	default:
		s.record = *a.Record
	}
	if a.PID != 0 { // its own word is of its own process id namespace
		s.PID = a.PID
	}
	s.record.PID = s.PID
	return s
}

// begins tells a run that has hardly begun.
func (s seenRun) begins() bool { return errors.Is(s.err, control.ErrNone) }

// called is how a run is named to a person.
func (s seenRun) called() string {
	if s.err != nil || s.record.Name == "" {
		return strconv.Itoa(s.PID)
	}
	return fmt.Sprintf("%s (%d)", cell(s.record.Name), s.PID)
}

// own tells a run of this user's.
func (s seenRun) own() bool { return s.UID < 0 || s.UID == os.Geteuid() }

// userName is whose a run is, "" if it is ours.
func (s seenRun) userName() string {
	if s.own() {
		return ""
	}
	number := strconv.Itoa(s.UID)
	if u, err := user.LookupId(number); err == nil {
		return cell(u.Username)
	}
	return "user " + number
}

// which are the runs with this process id or name, all if it is "".
func which(runs []seenRun, word string) (chosen []seenRun) {
	for _, s := range runs {
		if word == "" || strconv.Itoa(s.PID) == word || s.err == nil && s.record.Name == word {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

// ownFirst are those of this user's, all if there are none. Anybody can have a run of the name
// that one of root's has, which is meant then.
func ownFirst(runs []seenRun) []seenRun {
	if slices.ContainsFunc(runs, seenRun.own) {
		return slices.DeleteFunc(slices.Clone(runs), func(s seenRun) bool { return !s.own() })
	}
	return runs
}

// noneSuch says that no run is known by a word.
func noneSuch(runs []seenRun, word string) string {
	var silent []string
	for _, s := range runs {
		if s.err != nil {
			silent = append(silent, s.called())
		}
	}
	whose := " as this user"
	if os.Geteuid() == 0 {
		whose = ""
	}
	text := "no brs-exec is running" + whose
	if word != "" {
		text = fmt.Sprintf("no brs-exec of that process id or name is running%s: %s", whose, word)
	}
	if len(silent) > 0 && strings.Trim(word, "0123456789") != "" {
		text += fmt.Sprintf(" (but process %s does not answer)", strings.Join(silent, ", "))
	}
	return text
}

// flagsFirst puts what stands behind the subcommand in order: flags, with the values of those
// that take one, before other words.
func flagsFirst(words []string, valued ...string) []string {
	var flags, others []string
	for i := 1; i < len(words); i++ {
		word := words[i]
		if !strings.HasPrefix(word, "-") {
			others = append(others, word)
			continue
		}
		flags = append(flags, word)
		if slices.Contains(valued, strings.TrimLeft(word, "-")) && i+1 < len(words) {
			i++
			flags = append(flags, words[i])
		}
	}
	return slices.Concat(words[:1], flags, others)
}

// oneWord is the PID or NAME behind a subcommand, "" if there is none.
func oneWord(name string, words []string, dashes bool) (string, error) {
	hint := "brs-exec status lists what is running"
	switch {
	case dashes:
		return "", &plan.Error{Text: name + " runs no command", Hint: "brs-exec -- COMMAND runs one with fresh credentials"}
	case len(words) > 1:
		return "", &plan.Error{Text: fmt.Sprintf("%q is one process id or name too many", words[1]), Hint: hint}
	case len(words) == 1:
		return words[0], nil
	}
	return "", nil
}
