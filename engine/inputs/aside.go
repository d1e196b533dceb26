package inputs

import (
	"context"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// AsideBound bounds what is kept of an input's records that nobody knows the
// resource of. The oldest go first.
type AsideBound struct {
	Records int64         // 0 for any number
	Age     time.Duration // since they happened; 0 for any
}

// trimEvery is after how many new records, of each input, the bound is looked
// at: so many may be there above it.
const trimEvery = 5000

// keptAside notes that records were kept aside, and drops the oldest now and
// then.
func (in *input) keptAside(ctx context.Context, k *Intake, added int64) error {
	in.mu.Lock()
	in.untrimmed += added
	due := in.untrimmed >= trimEvery
	in.mu.Unlock()
	if !due {
		return nil
	}
	return in.trim(ctx, k)
}

// trim drops what is above the bound.
func (in *input) trim(ctx context.Context, k *Intake) error {
	if in.Aside == (AsideBound{}) {
		return nil
	}
	in.mu.Lock()
	in.untrimmed = 0
	in.mu.Unlock()
	now := k.cfg.Now().UTC()
	var before time.Time // none
	if in.Aside.Age > 0 {
		before = now.Add(-in.Aside.Age)
	}
	dropped, err := k.cfg.Store.TrimAside(ctx, in.Name, in.Aside.Records, before, now)
	if dropped > 0 {
		in.mu.Lock()
		in.status.Dropped += dropped
		in.mu.Unlock()
		k.cfg.Log.Warn("old records that nobody knows the resource of were dropped", "input", in.Name, "records", dropped,
			"remedy", "see penumbra unmapped for what to map, or raise the input's unmapped.records or unmapped.age")
	}
	return err
}

// Trim drops what has become too old of each input that brings nothing.
func (k *Intake) Trim(ctx context.Context) error {
	for _, in := range k.inputs {
		if err := in.trim(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// Unmapped sums up the log records that nobody knows the resource of.
func (k *Intake) Unmapped(ctx context.Context, limit int) (penumbra.Unmapped, error) {
	return k.cfg.Store.AsideKinds(ctx, limit)
}

// Remap tries the records kept aside again, with the rules and resources of now.
func (k *Intake) Remap(ctx context.Context) (penumbra.RemapReport, error) {
	var report penumbra.RemapReport
	if k.cfg.Mapper == nil {
		return report, nil
	}
	for after := int64(0); ; {
		records, err := k.cfg.Store.AsideRecords(ctx, after, BatchSize)
		if err != nil || len(records) == 0 {
			return report, err
		}
		var b Batch
		var done []int64
		for i := range records {
			after = records[i].Sequence
			report.Tried++
			if m := k.cfg.Mapper.Map(&records[i].Record); !m.Unmapped {
				done = append(done, after)
				b.Observations = append(b.Observations, k.entered(m.Observations, k.cfg.Now().UTC())...)
			}
		}
		report.Mapped += int64(len(done))
		if err := k.cfg.Loop.Enter(ctx, b); err != nil {
			return report, err
		}
		if err := k.cfg.Store.DropAside(ctx, done); err != nil {
			return report, err
		}
	}
}
