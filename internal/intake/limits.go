// Package intake answers one question for adapters that take data over HTTP: how
// much may one sender send, and what is it told? It reads a body within bounds
// whatever its compression, admits series within bounds whatever their labels,
// bounds the nesting and the number of messages before a decoder builds them, and
// maps the kind of an error to an HTTP status.
//
// It guarantees that no request makes it hold more memory than its [Limits] say,
// and that what it refuses it counts.
package intake

import (
	"cmp"
	"time"
)

// Limits bound what is taken. A zero field takes its default.
type Limits struct {
	Body     int64 // bytes of one body, before and after decompression; 16 MiB
	InFlight int   // requests at a time; 4. More are told to come again.
	Messages int   // nested messages of one body: records, points, attributes; 500,000

	Labels     int // labels of one series; 64
	LabelName  int // bytes of a label's name; 256
	LabelValue int // bytes of a label's value; 2,048
	// Series is how many different series are taken within an hour or two: one
	// that stops sending makes room; 100,000.
	Series int

	Text  int           // bytes of one text of a log record; longer ones are cut; 16 KiB
	Ahead time.Duration // how far a sender's clock may be ahead; 10 minutes
	Age   time.Duration // how old a point may be; 7 days
}

// WithDefaults returns the limits with every zero field set.
func (l Limits) WithDefaults() Limits {
	l.Body = cmp.Or(l.Body, 16<<20)
	l.InFlight = cmp.Or(l.InFlight, 4)
	l.Messages = cmp.Or(l.Messages, 500_000)
	l.Labels = cmp.Or(l.Labels, 64)
	l.LabelName = cmp.Or(l.LabelName, 256)
	l.LabelValue = cmp.Or(l.LabelValue, 2048)
	l.Series = cmp.Or(l.Series, 100_000)
	l.Text = cmp.Or(l.Text, 16<<10)
	l.Ahead = cmp.Or(l.Ahead, 10*time.Minute)
	l.Age = cmp.Or(l.Age, 7*24*time.Hour)
	return l
}

// InRange reports whether a time is one that a sender with a sane clock may send.
func (l Limits) InRange(t, now time.Time) bool {
	return !t.After(now.Add(l.Ahead)) && !t.Before(now.Add(-l.Age))
}
