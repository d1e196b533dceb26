package anomaly

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/envelope"
)

// A checkpoint is envelopes one after the other, each with a part of the series, so
// that neither writing nor reading needs the whole in memory twice.
const (
	checkpointMagic   = "penumbra anomaly"
	checkpointVersion = 3
	partSeries        = 512
	partLimit         = 1 << 26 // bytes of a part; one is written with some 5 MB
	checksum          = 32      // bytes of SHA-256 behind the payload
)

// part is an envelope's payload in CBOR (RFC 8949).
type part struct {
	Dropped Dropped
	Series  []storedSeries // in order
	More    bool           // another part follows
}

type storedSeries struct {
	_        struct{} `cbor:",toarray"`
	Resource penumbra.Address
	Metric   string
	State    *series
}

var (
	_ io.WriterTo   = (*Monitor)(nil)
	_ io.ReaderFrom = (*Monitor)(nil)
)

// WriteTo writes all that is known of all series, open anomalies included, and what
// was dropped; the options are not in it. The same state gives the same bytes.
func (m *Monitor) WriteTo(w io.Writer) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	keys := m.keys()
	var written int64
	for {
		p := part{Dropped: m.dropped, More: len(keys) > partSeries}
		for _, k := range keys[:min(len(keys), partSeries)] {
			p.Series = append(p.Series, storedSeries{Resource: k.Resource, Metric: k.Metric, State: m.series[k]})
		}
		keys = keys[len(p.Series):]
		payload, err := envelope.Encode(p)
		if err != nil {
			return written, fmt.Errorf("write the metrics' state: %w", err)
		}
		n, err := w.Write(envelope.Seal(checkpointMagic, checkpointVersion, payload))
		written += int64(n)
		if err != nil {
			return written, fmt.Errorf("write the metrics' state: %w", err)
		}
		if !p.More {
			return written, nil
		}
	}
}

// ReadFrom replaces all series by what WriteTo wrote: the monitor goes on as that one
// would have, with its own options; series beyond its limit are counted as refused.
// It returns an error of kind Damaged, and leaves the monitor as it was, if the data
// is not a whole state of a version that it knows.
func (m *Monitor) ReadFrom(r io.Reader) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fresh := NewMonitor(m.options)
	var read int64
	for more := true; more; {
		p, n, err := readPart(r)
		read += n
		if err == nil {
			err = fresh.restore(&p)
		}
		if err != nil {
			return read, &penumbra.Error{
				Kind: penumbra.Damaged, What: "read the metrics' state",
				Remedy: "remove it: it is learnt again from values to come", Err: err,
			}
		}
		more = p.More
	}
	m.series, m.dropped = fresh.series, fresh.dropped
	return read, nil
}

// readPart reads one envelope. Memory grows with what is there, not with what is
// said to be.
func readPart(r io.Reader) (p part, read int64, err error) {
	var b bytes.Buffer
	read, err = io.CopyN(&b, r, int64(len(checkpointMagic)+envelope.Header))
	if err != nil {
		return p, read, cutShort(err)
	}
	size := binary.LittleEndian.Uint64(b.Bytes()[len(checkpointMagic)+envelope.Header-8:])
	if size > partLimit {
		return p, read, fmt.Errorf("a part has %d bytes, %d are allowed", size, partLimit)
	}
	n, err := io.CopyN(&b, r, int64(size)+checksum)
	read += n
	if err != nil {
		return p, read, cutShort(err)
	}
	payload, err := envelope.Open(checkpointMagic, checkpointVersion, b.Bytes())
	if err != nil {
		return p, read, err
	}
	return p, read, envelope.Decode(payload, &p)
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("it is cut short")
	}
	return err
}

func (m *Monitor) restore(p *part) error {
	m.dropped.Late, m.dropped.NotFinite = p.Dropped.Late, p.Dropped.NotFinite
	m.dropped.Refused = max(m.dropped.Refused, p.Dropped.Refused)
	for i := range p.Series {
		x := &p.Series[i]
		k := key{x.Resource, x.Metric}
		if x.Resource == "" || x.Metric == "" || x.State == nil || m.series[k] != nil {
			return fmt.Errorf("series %q of %q is empty or there twice", x.Metric, x.Resource)
		}
		if err := x.State.check(); err != nil {
			return fmt.Errorf("series %q of %q: %w", x.Metric, x.Resource, err)
		}
		if len(m.series) >= m.options.MaxSeries {
			m.dropped.Refused++
			continue
		}
		m.series[k] = x.State
	}
	return nil
}

// check returns what keeps a state that was read from being gone on with.
func (s *series) check() error {
	switch {
	case s.Count < 1 || s.First > s.Last:
		return fmt.Errorf("%d values from %d to %d", s.Count, s.First, s.Last)
	case s.Count > 1 && !(s.Interval >= 1):
		return fmt.Errorf("an interval of %g ns", s.Interval)
	case s.Active < 0 || s.Active >= predictors:
		return fmt.Errorf("predictor %d", s.Active)
	case s.Open != nil && (s.Open.By < 0 || s.Open.By >= statistics):
		return fmt.Errorf("statistic %d", s.Open.By)
	case s.Active != level && s.Day == nil, (s.Day == nil) != (s.Week == nil):
		return errors.New("a profile is missing")
	}
	for _, x := range []float64{s.Value, s.PValue, s.Interval, s.Gap, s.Long, s.Far, s.Scale[0], s.Scale[1], s.Before, s.Product, s.Square, s.Typical, s.Still} {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return errors.New("a number is not finite")
		}
	}
	for i := range s.Tails {
		if !(s.Tails[i].Total >= 0) {
			return errors.New("a count is negative")
		}
	}
	if !(s.Joint.Total > 0) {
		return errors.New("nothing is counted")
	}
	for _, x := range [...]float64{s.Stable.Centre, s.Stable.Variance, s.Stable.Fourth, s.Stable.N, s.Stable.Before, s.Stable.Product, s.Stable.Square, s.Stable.Size} {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return errors.New("a number is not finite")
		}
	}
	if s.Stable.Held > briefSpan {
		return fmt.Errorf("%d values of %d", s.Stable.Held, briefSpan)
	}
	if err := s.Guard.check(); err != nil {
		return err
	}
	if err := s.Lately.check(); err != nil {
		return err
	}
	if s.Day == nil {
		return nil
	}
	if err := s.Day.check(day, true); err != nil {
		return err
	}
	return s.Week.check(week, false)
}

func (p *profile) check(cycle time.Duration, sizes bool) error {
	bins := 0
	for _, w := range widths {
		if p.Width == w {
			bins = int(cycle / w)
		}
	}
	if bins == 0 || p.Cycle != cycle || len(p.Means) != bins || len(p.Seen) != bins || sizes && len(p.Sizes) != bins || !sizes && len(p.Sizes) != 0 {
		return fmt.Errorf("a profile of %v has bins of %v: %d", p.Cycle, p.Width, len(p.Means))
	}
	if p.Bin < -1 || p.Bin >= bins {
		return fmt.Errorf("a profile is at bin %d of %d", p.Bin, bins)
	}
	return nil
}
