package succession

import "strings"

// lives are the half-lives of a tally's counts, in days. They are judgement.
var lives = [...]float64{today: 0.5, week: 4, season: 45, years: 730}

const (
	today = iota
	week
	season
	years
)

// tally counts how often settings changed, and how often they could have been
// the ones that did: their resource changed in something.
type tally struct {
	At      int64               `cbor:"1,keyasint"`
	Changed [len(lives)]float32 `cbor:"2,keyasint"`
	Asked   [len(lives)]float32 `cbor:"3,keyasint"`
}

func (t *tally) count(at int64, changed bool) {
	if at > t.At {
		for i, life := range lives {
			d := halved(at-t.At, life)
			t.Changed[i] *= d
			t.Asked[i] *= d
		}
		t.At = at
	}
	for i := range lives {
		t.Asked[i]++
		if changed {
			t.Changed[i]++
		}
	}
}

// share is in how many of the questions it was the one that changed, with a
// prior that is worth so many.
func (t *tally) share(life int, at int64, prior, worth float64) float64 {
	d := float64(halved(at-t.At, lives[life]))
	return (float64(t.Changed[life])*d + prior*worth) / (float64(t.Asked[life])*d + worth)
}

// class is a type and a path with list indices masked.
type class struct {
	tally
	key      classKey
	number   uint32
	path     *tally // of the path in all types
	name     *tally // of the path's last name in all types
	after    memory // what followed a change of it in its resource
	values   []valueTally
	from, to uint32 // digests of the values at the last change of any of them
	moved    int64  // Unix seconds of it, 0 if there is none
}

type classKey struct {
	Type string `cbor:"1,keyasint"`
	Path string `cbor:"2,keyasint"`
}

// valueTally counts in how many questions a setting that had a value changed.
type valueTally struct {
	Value   uint32  `cbor:"1,keyasint"` // digest
	At      int64   `cbor:"2,keyasint"` // Unix seconds that the counts are as of
	Changed float32 `cbor:"3,keyasint"`
	Asked   float32 `cbor:"4,keyasint"`
}

const (
	maxValues = 12  // of a class
	valueLife = 365 // days
)

func (c *class) value(value uint32) *valueTally {
	for i := range c.values {
		if c.values[i].Value == value {
			return &c.values[i]
		}
	}
	return nil
}

// countValue counts a question that a setting with the value was asked. The
// value least asked about makes room.
func (c *class) countValue(value uint32, at int64, changed bool) {
	x := c.value(value)
	if x == nil {
		if len(c.values) < maxValues {
			c.values = append(c.values, valueTally{})
			x = &c.values[len(c.values)-1]
		} else {
			x = &c.values[0]
			for i := range c.values {
				if y := &c.values[i]; y.asked(at) < x.asked(at) {
					x = y
				}
			}
		}
		*x = valueTally{Value: value, At: at}
	}
	d := halved(at-x.At, valueLife)
	x.Changed *= d
	x.Asked = x.Asked*d + 1
	x.At = max(x.At, at)
	if changed {
		x.Changed++
	}
}

func (x *valueTally) asked(at int64) float32 { return x.Asked * halved(at-x.At, valueLife) }

// lastName returns the last step of a masked path that is a name.
func lastName(masked string) string {
	s := masked
	for {
		t := strings.TrimSuffix(strings.TrimSuffix(s, "[*]"), ".*")
		if t == s {
			return s[strings.LastIndexByte(s, '.')+1:]
		}
		s = t
	}
}
