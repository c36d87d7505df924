package run

import (
	"context"
	"time"

	"brs-exec/refresh/source"
	"brs-exec/writer"
)

// tidyTime is how long the file of --credentials-file may take, once the command
// has ended, to be as it should be left: who waits for our end has no patience.
const tidyTime = 2 * time.Second

// openShared opens the file of --credentials-file. It may have to wait for others who
// have the file.
func (s *session) openShared(ctx context.Context, src *source.Source) (shared *writer.Shared, err error) {
	o := s.plan.SharedOptions(setName, src)
	o.Notify = func(note string) { s.log.Warn(note) }
	err = s.signals.Before(ctx, func(ctx context.Context) error {
		shared, err = writer.NewShared(ctx, o)
		return err
	})
	if err != nil {
		return nil, s.plan.SharedError(err)
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
