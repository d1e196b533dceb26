package models

import (
	"context"
	"log/slog"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
)

// A daemon whose configuration leaves the choice of the model to the evidence
// trains once a day at most, and only if its past has grown by a tenth since it
// did so last: the evidence of a day is hardly other than that of the day
// before. Judgements.
const (
	chooseEvery = 24 * time.Hour
	chooseGrown = 1.1
	// leastPast is how many observations there have to be for a first training,
	// and scoredPast of how many on only a sample of the resources is scored.
	leastPast  = 1_000
	scoredPast = 100_000
)

// Choosing trains now and then until ctx ends. That a training failed is told
// and stops nothing: the model that serves goes on.
func Choosing(ctx context.Context, on *console.Console, s api.Answerer, o wire.Options) error {
	a := &app{on}
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := a.choose(ctx, s, o.Clock()(), o.Log); err != nil && ctx.Err() == nil {
			o.Log.Warn("no model was chosen; the one that serves goes on", "error", err)
		}
	}
}

// choose trains if it is time to.
func (a *app) choose(ctx context.Context, s api.Answerer, now time.Time, log *slog.Logger) error {
	status, err := s.Status(ctx)
	if err != nil {
		return err
	}
	versions, err := s.Versions(ctx)
	if err != nil || !timeToChoose(versions, status.Observations, now) {
		return err
	}
	quiet := &app{new(*a.Console)}
	quiet.Output = "json" // no bar
	f := &trainFlags{store: true, seed: wire.ServedSeed, window: servedWindow, by: "penumbra"}
	if status.Observations > scoredPast {
		f.sample = uint32(status.Observations / scoredPast)
	}
	t, err := quiet.train(ctx, s, f, nil)
	if err != nil {
		return err
	}
	log.Info("the model was chosen by its own past", "promoted", t.Promoted, "why", t.Sentence)
	return nil
}

// timeToChoose reports whether so much has been observed since the last training
// that another may find something else.
func timeToChoose(versions []penumbra.ModelVersion, observations int64, now time.Time) bool {
	for _, v := range versions {
		if v.Origin == penumbra.TrainedVersion {
			return now.Sub(v.Created) >= chooseEvery && float64(observations) >= chooseGrown*float64(v.Observations)
		}
	}
	return observations >= leastPast
}
