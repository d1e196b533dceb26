package succession

import "math"

// memory is what is kept of the changes of one thing, such as a resource: of
// the settings that changed most and last, a bounded number.
type memory struct {
	At      int64     `cbor:"1,keyasint"` // Unix seconds of the last change
	Before  int64     `cbor:"2,keyasint"` // of the last but one, 0 if there is none
	Changes uint32    `cbor:"3,keyasint"` // at how many times something changed
	Entries []changed `cbor:"4,keyasint"`
}

// changed is a class that did, in 32 bytes.
type changed struct {
	Class uint32  `cbor:"1,keyasint"`
	Then  uint32  `cbor:"2,keyasint"` // the class that followed it the last time, counted from 1; 0 if none
	At    int64   `cbor:"3,keyasint"` // Unix seconds of the last time
	Long  float32 `cbor:"4,keyasint"` // counts that decay, as of At
	Short float32 `cbor:"5,keyasint"`
	To    uint32  `cbor:"6,keyasint"` // digest of the value it took
}

// maxEntries is how many classes a thing remembers.
const maxEntries = 16

// The half-lives of a memory's counts, in days. They are judgement.
const (
	longLife  = 730
	shortLife = 60
)

const day = 24 * 60 * 60

// halved is what is left of 1 after so many seconds.
func halved(seconds int64, life float64) float32 {
	return float32(math.Exp2(-float64(max(0, seconds)) / day / life))
}

// counts are those of a class, or of all of a thing's.
type counts struct {
	long, short float32
	last        int64  // Unix seconds, 0 if it never changed
	to          uint32 // digest of the value it took then
}

func (x *changed) counts(at int64) counts {
	return counts{x.Long * halved(at-x.At, longLife), x.Short * halved(at-x.At, shortLife), x.At, x.To}
}

// note counts a change of a class. What has the least count makes room.
func (m *memory) note(class, to uint32, at int64) {
	if at > m.At || m.Changes == 0 {
		m.Before, m.At = m.At, at
		m.Changes++
	}
	x := m.find(class)
	if x == nil {
		x = m.room(at)
		*x = changed{Class: class, At: at}
	}
	n := x.counts(at)
	x.Long, x.Short = n.long+1, n.short+1
	x.At, x.To = max(x.At, at), to
}

func (m *memory) find(class uint32) *changed {
	for i := range m.Entries {
		if m.Entries[i].Class == class {
			return &m.Entries[i]
		}
	}
	return nil
}

// room returns an entry to be overwritten.
func (m *memory) room(at int64) *changed {
	if len(m.Entries) < maxEntries {
		m.Entries = append(m.Entries, changed{})
		return &m.Entries[len(m.Entries)-1]
	}
	var least *changed
	worth := float32(math.Inf(1))
	for i := range m.Entries {
		if n := m.Entries[i].counts(at); n.long+n.short < worth {
			least, worth = &m.Entries[i], n.long+n.short
		}
	}
	return least
}

// counts returns those of a class as of a time, zero if it has not changed.
func (m *memory) counts(class uint32, at int64) counts {
	if x := m.find(class); x != nil {
		return x.counts(at)
	}
	return counts{}
}

// sums returns the counts of all together.
func (m *memory) sums(at int64) counts {
	var sum counts
	for i := range m.Entries {
		n := m.Entries[i].counts(at)
		sum.long += n.long
		sum.short += n.short
	}
	return sum
}
