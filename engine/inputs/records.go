package inputs

import (
	"context"
	"fmt"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// wrongClock is how far ahead of this machine's clock a record may be dated: one
// further ahead would come after everything that is yet to happen.
const wrongClock = 5 * time.Minute

// Records takes log records in, and lines that could not be read. When it
// returns without an error each of them is durable: as an event of a resource,
// kept aside, in quarantine; or it was counted as nothing to keep. Taking the
// same records in again adds nothing. Resources touched are read again, within
// their budget.
func (f *Feed) Records(ctx context.Context, records []penumbra.Record, bad []penumbra.BadLine) error {
	return f.keep(ctx, f.prepare(records, bad))
}

// taken is what was made of log records, ready to be kept.
type taken struct {
	Batch
	aside []penumbra.AsideRecord
	count penumbra.InputStatus
}

// add puts what was taken later behind. o must not be used any more.
func (t *taken) add(o *taken) {
	if t.count.Records+t.count.Bad == 0 {
		*t = *o
		return
	}
	t.Observations = append(t.Observations, o.Observations...)
	t.Bad = append(t.Bad, o.Bad...)
	t.aside = append(t.aside, o.aside...)
	t.count.Records += o.count.Records
	t.count.Mapped += o.count.Mapped
	t.count.Unmapped += o.count.Unmapped
	t.count.Denied += o.count.Denied
	t.count.Skipped += o.count.Skipped
	t.count.Bad += o.count.Bad
	t.count.Last = later(t.count.Last, o.count.Last)
}

// prepare finds out whose the records are. It changes nothing but the records.
func (f *Feed) prepare(records []penumbra.Record, bad []penumbra.BadLine) *taken {
	k := f.intake
	now := k.cfg.Now().UTC()
	t := &taken{}
	for _, line := range bad {
		line.Text, line.Reason, line.Seen = penumbra.Redact(line.Text), penumbra.Redact(line.Reason), now
		t.Bad = append(t.Bad, line)
	}
	for i := range records {
		rec := &records[i]
		rec.Input = f.input.Name
		if err := rec.Check(); err != nil {
			t.Bad = append(t.Bad, penumbra.BadLine{Source: f.input.Name, Reason: err.Error(), Text: rec.Message, Seen: now})
			continue
		}
		t.count.Records++
		t.count.Last = later(t.count.Last, rec.Time)
		if rec.Time.After(now.Add(wrongClock)) {
			if rec.ID == "" {
				rec.ID = rec.Identity().String() // of what it says, not of when it was read
			}
			rec.Message = fmt.Sprintf("[dated %s, ahead of this machine's clock] %s", rec.Time.Format(time.RFC3339), rec.Message)
			rec.Time = now
		}
		m := k.cfg.Mapper.Map(rec)
		switch {
		case m.Unmapped:
			t.count.Unmapped++
			if t.aside == nil {
				t.aside = make([]penumbra.AsideRecord, 0, len(records)-i)
			}
			t.aside = append(t.aside, penumbra.AsideRecord{Record: *rec, Action: m.Action, Reason: m.Reason})
		case len(m.Observations) > 0:
			t.count.Mapped++
			if t.Observations == nil {
				t.Observations = make([]penumbra.Observation, 0, len(records)-i)
			}
			t.Observations = append(t.Observations, k.entered(m.Observations, now)...)
		case m.Denied > 0:
			t.count.Denied++
		default:
			t.count.Skipped++
		}
	}
	t.count.Bad = int64(len(t.Bad))
	return t
}

// keep makes durable what was taken, and counts it.
func (f *Feed) keep(ctx context.Context, t *taken) error {
	if len(t.aside) > 0 {
		added, err := f.intake.cfg.Store.KeepAside(ctx, t.aside)
		if err != nil {
			return err
		}
		if err := f.input.keptAside(ctx, f.intake, int64(added)); err != nil {
			return err
		}
	}
	if err := f.intake.cfg.Loop.Enter(ctx, t.Batch); err != nil {
		return err
	}
	now := f.intake.cfg.Now().UTC()
	f.note(func(s *penumbra.InputStatus) {
		s.Records += t.count.Records
		s.Mapped += t.count.Mapped
		s.Unmapped += t.count.Unmapped
		s.Denied += t.count.Denied
		s.Skipped += t.count.Skipped
		s.Bad += t.count.Bad
		if !t.count.Last.IsZero() {
			s.Last, s.Lag = now, max(0, now.Sub(t.count.Last))
		}
		s.Error, s.Failures = "", 0
	})
	return nil
}

// entered makes observations ready to be stored: secrets are sealed, and the
// time is noted at which they were seen.
func (k *Intake) entered(observations []penumbra.Observation, now time.Time) []penumbra.Observation {
	for i := range observations {
		o := &observations[i]
		k.cfg.Key.SealSettings(o.Settings)
		o.Message = penumbra.Redact(o.Message)
		o.Seen = now
	}
	return observations
}
