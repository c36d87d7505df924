package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"brs-exec/refresh/plan"
	"brs-exec/refresh/source"
	"brs-exec/writer"
)

// tidyTime is how long the file of --credentials-file may take, once the command
// has ended, to be as it should be left: who waits for our end has no patience.
const tidyTime = 2 * time.Second

// sharedOptions are those of the file of --credentials-file.
func sharedOptions(p *plan.Plan, src *source.Source) writer.SharedOptions {
	o := writer.SharedOptions{
		Path: p.Shared.Path, Sections: map[string]string{setName: p.Shared.Section},
		AtExit: p.Shared.AtExit, Perm: p.Shared.Perm, Owner: p.Shared.Owner,
	}
	config, credentials := sharedFiles()
	o.ConfigFile = config
	if src != nil && src.Profile() != "" { // else nothing is read from these, and nothing can go round in a circle
		o.SourceFiles, o.SourceProfile = []string{config, credentials}, src.Profile()
	}
	return o
}

// checkShared complains about the file of --credentials-file before anything is
// begun.
func checkShared(p *plan.Plan, src *source.Source) (notes []string, err error) {
	if p.Shared.Path == "" {
		return nil, nil
	}
	notes, err = writer.PreviewShared(sharedOptions(p, src))
	return notes, sharedError(p, err)
}

// openShared opens the file of --credentials-file. It may have to wait for others who
// have the file.
func (s *session) openShared(ctx context.Context, src *source.Source) (shared *writer.Shared, err error) {
	o := sharedOptions(s.plan, src)
	o.Notify = func(note string) { s.log.Warn(note) }
	err = s.signals.Before(ctx, func(ctx context.Context) error {
		shared, err = writer.NewShared(ctx, o)
		return err
	})
	if err != nil {
		return nil, sharedError(s.plan, err)
	}
	s.signals.AtEnd(func() { shared.Close(context.Background()) }) // which waits no longer than it will
	for _, note := range shared.Notes() {
		s.log.Warn(note)
	}
	return shared, nil
}

// closeShared leaves the file as it should be. It does not take long, and a
// signal that asks for the end makes it shorter.
func (s *session) closeShared(shared *writer.Shared) {
	ctx, cancel := context.WithTimeout(context.Background(), tidyTime)
	defer cancel()
	if err := s.signals.After(ctx, shared.Close); err != nil {
		s.log.Warn("the credentials file is not as it should be left", "err", err)
	}
}

// sharedError names the flag, and the file once.
func sharedError(p *plan.Plan, err error) error {
	if err == nil {
		return nil
	}
	path, hint := p.Shared.Path, writer.SharedHint(p.Shared.Path, err)
	text := strings.Replace(err.Error(), " of "+path, "", 1)
	if text = strings.TrimPrefix(text, path); !strings.HasPrefix(text, ":") {
		text = ": " + strings.TrimSpace(text)
	}
	return &plan.Error{Flag: "credentials-file", Text: path + text, Hint: hint}
}

// examineShared says what a run would of the file of --credentials-file.
func (d *doctor) examineShared() {
	notes, err := checkShared(d.plan, d.source)
	var wrong *plan.Error
	if errors.As(err, &wrong) {
		d.problem("--credentials-file", wrong.Hint, "%s", wrong.Text)
	}
	for _, note := range notes {
		d.note("--credentials-file", "", "%s", note)
	}
}
