package run

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/refresh"
)

// Once gets credentials, with the retries and the patience of a start. Of o it
// takes the plan and the log.
func Once(o Options) (none aws.Credentials, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	src, err := o.source(ctx)
	if err != nil {
		return none, err
	}
	if err := src.Authenticate(ctx); err != nil {
		return none, err
	}
	keys, log := &variables{}, logEngine(src, o.Log)
	engine := refresh.New(refresh.Options{
		Profiles:     []refresh.Profile{{Name: credentialsName, Source: src}},
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
