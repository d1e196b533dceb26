package stored

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"math"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Times are stored in nanoseconds since 1970, which these are the ends of.
var (
	minTime = time.Unix(0, math.MinInt64)
	maxTime = time.Unix(0, math.MaxInt64)
)

// CheckTime returns an error for a time that cannot be stored.
func CheckTime(what string, t time.Time) error {
	if t.Before(minTime) || t.After(maxTime) {
		return fmt.Errorf("%s %v is not between the years 1678 and 2262", what, t)
	}
	return nil
}

// Nanos returns a time as it is stored; one that cannot be, as the nearest that can.
func Nanos(t time.Time) int64 {
	switch {
	case t.Before(minTime):
		return math.MinInt64
	case t.After(maxTime):
		return math.MaxInt64
	default:
		return t.UnixNano()
	}
}

// Time reads what [Nanos] returned.
func Time(n int64) time.Time { return time.Unix(0, n).UTC() }

// Optional returns a time that may be zero as it is stored.
func Optional(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: Nanos(t), Valid: !t.IsZero()}
}

// FromOptional reads what [Optional] returned.
func FromOptional(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return Time(n.Int64)
}

// Record is an observation as it is stored: when and of which resource, and apart
// from that a content, which mostly is that of the observation before.
type Record struct {
	Identity penumbra.ObservationID
	Time     int64
	Seen     sql.NullInt64
	Kind     penumbra.ObservationKind
	Address  penumbra.Address
	Digest   [32]byte // of Body
	Body     []byte   // what it says, apart from when
	Own      []byte   // what only it says, nil if that is nothing
	// Named is set of one that is known by an identifier of its source's: its
	// identity does not depend on its time.
	Named bool
}

// Set fills a record from an observation, and returns what makes that unusable.
func (r *Record) Set(o *penumbra.Observation) (err error) {
	if err := o.Check(); err != nil {
		return err
	}
	if err := CheckTime("time", o.Time); err != nil {
		return err
	}
	*r = Record{Identity: o.Identity(), Time: o.Time.UnixNano(), Kind: o.Kind, Address: o.Resource, Named: o.ID != ""}
	r.Seen = Optional(o.Seen)
	if r.Body, err = encMode.Marshal(toContent(o)); err != nil {
		return err
	}
	r.Digest = sha256.Sum256(r.Body)
	r.Own, err = toOwn(o)
	return err
}

// Named reports whether an observation is known by an identifier, as its own part
// says.
func Named(data []byte) (bool, error) {
	if len(data) == 0 {
		return false, nil
	}
	var w own
	err := Decode(data, &w)
	return w.ID != "", err
}

// Records returns observations as they are stored. The error names the first that
// cannot be used.
func Records(observations []penumbra.Observation, where string) ([]Record, error) {
	records := make([]Record, len(observations))
	err := InParallel(len(observations), func(i int) error {
		err := records[i].Set(&observations[i])
		if err != nil {
			err = &penumbra.Error{Kind: penumbra.Invalid, Err: err,
				What: fmt.Sprintf("append observation %d, of %q, to store %s", i+1, observations[i].Resource, where)}
		}
		return err
	})
	return records, err
}

// Reading is the state of one iteration: contents that were decoded already share
// their settings. Its zero value is ready.
type Reading struct {
	contents map[int64]*sharedContent
}

type sharedContent struct {
	content
	settings, applied penumbra.Settings
}

// maxShared bounds the contents that an iteration remembers.
const maxShared = 1 << 13

// Unknown returns those of the contents' numbers that [Reading.Fill] has to be given
// the bodies of, each once. Until it is called again, all others stay known.
func (r *Reading) Unknown(numbers []int64) (unknown []int64) {
	if len(r.contents)+len(numbers) > maxShared {
		clear(r.contents)
	}
	seen := map[int64]bool{}
	for _, n := range numbers {
		if _, known := r.contents[n]; !known && !seen[n] {
			seen[n] = true
			unknown = append(unknown, n)
		}
	}
	return unknown
}

// Fill sets of an observation what its content, known by a number, and its own part
// say. It keeps neither.
func (r *Reading) Fill(o *penumbra.Observation, number int64, body, data []byte) error {
	c, found := r.contents[number]
	if !found {
		c = new(sharedContent)
		if err := Decode(body, &c.content); err != nil {
			return err
		}
		c.settings, c.applied = fromSettings(c.Settings), fromSettings(c.Applied)
		c.Settings, c.Applied = nil, nil
		if len(r.contents) >= maxShared {
			clear(r.contents)
		}
		if r.contents == nil {
			r.contents = make(map[int64]*sharedContent)
		}
		r.contents[number] = c
	}
	c.fill(o)
	o.Settings, o.Applied = c.settings, c.applied
	if len(data) > 0 {
		var w own
		if err := Decode(data, &w); err != nil {
			return err
		}
		w.fill(o)
	}
	return nil
}
