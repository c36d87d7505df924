package run

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec.example/brs-exec/refresh"
)

// Once gets credentials, with the retries and the patience of a start. Of o it
// takes the plan and the log.
func Once(o Options) (none aws.Credentials, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ps, err := openProfiles(ctx, o)
	if err != nil {
		return none, err
	}
	if err := ps.authenticate(ctx); err != nil {
		return none, err
	}
	src := ps.all()[0].src
	keys, log := &variables{name: ps.all()[0].Name}, logEngine(ps, o.Log, nil)
	engine := refresh.New(refresh.Options{
		Profiles:     ps.engine(),
		Deliveries:   []refresh.Delivery{keys},
		StartTimeout: cmp.Or(o.Plan.StartTimeout, src.StartTimeout()),
		Notify: func(e refresh.Event) {
			if e.Kind == refresh.Failed {
				log.Engine(e, true)
			}
		},
	})
	go func() {
		select {
		case <-engine.Ready():
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := engine.Run(ctx); err != nil {
		return none, err
	}
	for _, note := range src.Notes() {
		o.Log.Warn(note)
	}
	return keys.creds, nil
}
