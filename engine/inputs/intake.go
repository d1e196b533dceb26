// Package inputs is the engine's room where logs and metrics come in. It answers:
// what of what comes is new, whose is it, and how far was it read? What it makes of it
// goes to the loop as batches of observations, and as anomalies; what nobody knows the
// resource of is kept aside, metrics are rolled up.
//
// It guarantees that what it acknowledges is durable, and that a cursor is saved only
// after all that came before it.
package inputs

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/penumbra-iac/penumbra"
)

// Config is what an intake needs. All fields are needed unless a comment says
// otherwise.
type Config struct {
	Inputs []Input
	Store  Store
	Loop   Loop
	// Mapper gives log records and metrics to resources; nil if none are taken in.
	Mapper Mapper
	// Namer, Monitor and NewRate are what metrics need; Monitor nil if none are.
	Namer   Namer
	Monitor Monitor
	NewRate func() Rate
	// Watched is told which metrics were watched until a time, and how far apart their
	// values were; nil if nobody wants to know.
	Watched func(resource penumbra.Address, metric string, interval time.Duration, until time.Time)
	// Stopped is told why an input brings nothing any more, and "" when it goes on;
	// nil if nobody wants to know.
	Stopped func(input, reason string)

	Key penumbra.Key // for the secrets in log records
	Now func() time.Time
	Log *slog.Logger
}

// Intake takes in what inputs bring.
type Intake struct {
	cfg        Config
	inputs     map[string]*input
	meters     *meters
	recordings recordings
}

// New makes an intake. It returns an error of kind Invalid if two inputs have the
// same name.
func New(cfg Config) (*Intake, error) {
	k := &Intake{cfg: cfg}
	return k, k.openInputs()
}

// Run reads the inputs and tends metrics until ctx ends.
func (k *Intake) Run(ctx context.Context) error {
	g, running := errgroup.WithContext(ctx)
	for _, in := range k.inputs {
		if in.Run != nil {
			g.Go(func() error { return k.listen(running, in) })
		}
	}
	if k.cfg.Monitor != nil {
		g.Go(func() error { return k.tend(running) })
	}
	return g.Wait()
}

// SaveRollups stores what has changed of the rollups that are open.
func (k *Intake) SaveRollups(ctx context.Context) error {
	if k.cfg.Monitor == nil {
		return nil
	}
	return k.saveRollups(ctx, true)
}

// EndRecordings ends all recordings.
func (k *Intake) EndRecordings() { k.recordings.close() }
