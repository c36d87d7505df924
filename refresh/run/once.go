package run

import (
	"cmp"
	"context"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/aws"

	"brs-exec/refresh"
	"brs-exec/refresh/plan"
	"brs-exec/refresh/source"
)

// Once gets one set, with the retries and the patience of a start.
func Once(pl *plan.Plan, log *slog.Logger) (aws.Credentials, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	src, err := source.New(ctx, pl.Source)
	if err != nil {
		return aws.Credentials{}, err
	}
	for _, line := range src.Plaintext() {
		log.Warn(line)
	}
	if err := src.Begin(ctx); err != nil {
		return aws.Credentials{}, err
	}
	var got catch
	tell := &reporter{log: log, origin: src.Origin}
	engine := refresh.New(refresh.Options{
		Profiles:     []refresh.Profile{{Name: setName, Source: src}},
		Deliveries:   []refresh.Delivery{&got},
		StartTimeout: cmp.Or(pl.StartTimeout, src.StartTimeout()),
		Notify: func(e refresh.Event) {
			if e.Kind == refresh.Failed {
				tell.event(e, true)
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
		return aws.Credentials{}, err
	}
	for _, note := range src.Notes() {
		log.Warn(note)
	}
	return got.creds, nil
}

// catch is a delivery to this process.
type catch struct{ creds aws.Credentials }

func (c *catch) Deliver(_ context.Context, sets map[string]aws.Credentials) error {
	c.creds = sets[setName]
	return nil
}
