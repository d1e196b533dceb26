package inputs

import (
	"context"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// A Mapper says whose event a log record is, and whose a metric's values are. It
// is called by several goroutines.
type Mapper interface {
	// Map returns what became of a record.
	Map(rec *penumbra.Record) Mapping
	// Series returns the resource that labels of an input stand for.
	Series(input string, labels map[string]string) (penumbra.Address, bool)
}

// Mapping is what became of a log record: events of resources, or the reason why
// there are none.
type Mapping struct {
	Observations []penumbra.Observation
	Denied       int    // attempts that had no effect
	Skipped      string // why nothing came of a record that was understood
	Unmapped     bool   // nobody knows whose it is, for the Reason
	Reason       string
	Action       string // what was done, found from the text if the format gives no verb
}

// A Namer says which metric the values of a source's series are.
type Namer interface {
	// Name returns the metric's name, which way it moves when performance drops,
	// and whether the series is wanted at all.
	Name(s *penumbra.Series) (metric string, worse penumbra.Direction, ok bool)
}

// A Rate turns the values of a counter into rates per second.
type Rate interface {
	// Observe returns the rate since the value before; ok is false for the first,
	// and after a reset.
	Observe(p penumbra.Point) (rate penumbra.Point, ok bool)
}

// A Monitor watches metrics for anomalies. It is called by several goroutines.
type Monitor interface {
	// Observe takes a value in and returns the anomalies that began, grew or ended
	// with it. It returns an error of kind Full if there are too many series.
	Observe(resource penumbra.Address, metric string, worse penumbra.Direction, p penumbra.Point) ([]penumbra.Anomaly, error)
	// Tick returns the anomalies of metrics that have fallen silent.
	Tick(now time.Time) []penumbra.Anomaly
}

// Rollups keeps metrics at a bounded size.
type Rollups interface {
	// SaveRollups stores rollups; one of the same resource, metric, span and start
	// takes the place of the stored one.
	SaveRollups(ctx context.Context, rollups []penumbra.Rollup) error
	// Rollups returns the selected ones, the oldest first.
	Rollups(ctx context.Context, q penumbra.RollupQuery) ([]penumbra.Rollup, error)
	// PruneRollups deletes those of a span that start before a time.
	PruneRollups(ctx context.Context, span time.Duration, before time.Time) error
}

// Aside keeps log records that nobody knows the resource of.
type Aside interface {
	// KeepAside stores records with the durability of Append; one that is there
	// already, by its identity, is left as it is. It returns how many were new.
	KeepAside(ctx context.Context, records []penumbra.AsideRecord) (added int, err error)
	// AsideKinds sums up what is kept, at most limit kinds, the most frequent first.
	AsideKinds(ctx context.Context, limit int) (penumbra.Unmapped, error)
	// AsideRecords returns at most limit records kept after a sequence number, in
	// their order.
	AsideRecords(ctx context.Context, after int64, limit int) ([]penumbra.AsideRecord, error)
	// DropAside deletes records by their sequence numbers: they have a resource now.
	DropAside(ctx context.Context, sequences []int64) error
	// TrimAside deletes an input's records that happened before a time, and then the
	// oldest above a number, 0 for any; AsideKinds counts them as dropped at now. It
	// returns how many they were.
	TrimAside(ctx context.Context, input string, most int64, before, now time.Time) (dropped int64, err error)
}

// Cursors keeps how far inputs were read.
type Cursors interface {
	SaveCheckpoint(ctx context.Context, c penumbra.Checkpoint) error
	// Checkpoint returns the last one of that name, an error of kind NotFound if
	// there is none.
	Checkpoint(ctx context.Context, name string) (penumbra.Checkpoint, error)
}

// Store is what inputs need of a store.
type Store interface {
	Rollups
	Aside
	Cursors
}

// Batch is what goes into the timeline at once.
type Batch struct {
	Observations []penumbra.Observation
	Bad          []penumbra.BadLine // lines that could not be read
}

// Size is how many lines it was read from.
func (b *Batch) Size() int { return len(b.Observations) + len(b.Bad) }

// BatchSize is how many observations are made durable at once: one sync to disk
// each batch is what an acknowledgement costs.
const BatchSize = 2000

// Loop is the loop, as inputs see it. It is called by several goroutines.
type Loop interface {
	// Enter takes a batch through the stages. When it returns without an error all
	// of it is durable.
	Enter(ctx context.Context, b Batch) error
	// Found takes anomalies that began, grew or ended through the loop.
	Found(ctx context.Context, changed []penumbra.Anomaly) error
	// Resource returns a copy of what is known of a resource, Known those of a stack
	// that are there.
	Resource(a penumbra.Address) (penumbra.Resource, bool)
	Known(stack string) []penumbra.Address
}
