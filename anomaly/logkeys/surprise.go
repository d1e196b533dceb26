package logkeys

import (
	"fmt"
	"strings"
)

// Surprise is what a session's keys so far say.
type Surprise[K Key] struct {
	// P is the conformal p-value: the probability that a session like those
	// learnt is this surprising by its end. The least is between 1/(n+1) and
	// 3/(n+1), n the sessions that calibrate, so that nothing alarms at 0.01 before
	// 100 to 300 are known.
	P float64
	// Worst is what surprised the most so far.
	Worst Event[K]
}

// EventKind says in what way something is surprising.
type EventKind uint8

// The kinds of event.
const (
	// None is the kind before the first key.
	None EventKind = iota
	// Transition is a key that hardly follows the ones before it.
	Transition
	// Ending is an end of the session where others go on.
	Ending
	// Excess is a key that came as often as in hardly any session.
	Excess
	// Length is as many keys as hardly any session has.
	Length
	// Count is how often a key came, or that it came at all where another was
	// due, given how often the others did.
	Count
)

var eventKindNames = [...]string{"none", "transition", "ending", "excess", "length", "count"}

func (k EventKind) String() string {
	if int(k) < len(eventKindNames) {
		return eventKindNames[k]
	}
	return "unknown"
}

// Event is one surprising thing in a session.
type Event[K Key] struct {
	Kind EventKind
	// Key is the zero value for Ending and Length, and for a Count with Times 0:
	// the session ought to have had another key.
	Key K
	// At is how many keys came before it; all of them for Ending and Count.
	At int
	// Times is how often the key came, or for Length all keys; 0 for Transition
	// and Ending.
	Times int
	// Nats is −ln of its probability. For Count that of this one, and the p-value
	// is that of all counts together.
	Nats float64
	// Expected are the likeliest instead, at most three. It is empty while P is
	// above 0.1, and for Excess and Length.
	Expected []Expected[K]
}

// Expected is what was likelier than what came.
type Expected[K Key] struct {
	Key         K
	End         bool // nothing more, instead of a key
	Times       int  // for Count: how often, the least of a range from 8 on
	Probability float64
}

func (e Event[K]) String() string {
	var b strings.Builder
	switch e.Kind {
	case None:
		return "nothing yet"
	case Transition:
		fmt.Fprintf(&b, "%v after %d keys", e.Key, e.At)
	case Ending:
		fmt.Fprintf(&b, "the end after %d keys", e.At)
	case Excess:
		fmt.Fprintf(&b, "%v %d times", e.Key, e.Times)
	case Length:
		fmt.Fprintf(&b, "%d keys", e.Times)
	case Count:
		if e.Times == 0 {
			b.WriteString("no more keys than these")
			break
		}
		fmt.Fprintf(&b, "%v %d times beside the others", e.Key, e.Times)
	}
	for i, x := range e.Expected {
		b.WriteString([...]string{", where ", " or ", " or "}[min(i, 2)])
		switch {
		case x.End:
			b.WriteString("nothing more")
		case x.Times > 0:
			fmt.Fprintf(&b, "%v %d times", x.Key, x.Times)
		default:
			fmt.Fprintf(&b, "%v", x.Key)
		}
		fmt.Fprintf(&b, " (%.2g)", x.Probability)
	}
	if len(e.Expected) > 0 {
		b.WriteString(" was expected")
	}
	return b.String()
}
