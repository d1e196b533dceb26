package penumbra

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// InfluenceKind says what sort of thing moved a forecast.
type InfluenceKind uint8

// The kinds of influence.
const (
	OwnChange       InfluenceKind = iota + 1 // the setting's last change
	OwnChanges                               // all of its changes: how often it changes
	OwnDepartures                            // how often it left what it was expected to be
	DailyHabit                               // the same, at the time of day at which it leaves
	ResourceChanges                          // changes of the resource's other settings
	PeerWave                                 // recent changes of the same setting elsewhere
	SiblingMove                              // the same thing in another environment moved
	FolderActivity                           // changes of what is declared beside it
	NewerValue                               // a newer value than its own is in the fleet
	FleetRate                                // how often such settings change anywhere
	ActorChanges                             // what one actor did here and nearby, part of the others
)

var influenceNames = [...]string{
	"", "own change", "own changes", "own departures", "daily habit", "resource changes", "peer wave",
	"sibling move", "folder activity", "newer value", "fleet rate", "actor changes",
}

func (k InfluenceKind) String() string {
	if k > 0 && int(k) < len(influenceNames) {
		return influenceNames[k]
	}
	return "InfluenceKind(" + strconv.Itoa(int(k)) + ")"
}

// MarshalText writes the kind's name.
func (k InfluenceKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the kind's name.
func (k *InfluenceKind) UnmarshalText(text []byte) error {
	i := slices.Index(influenceNames[1:], string(text))
	if i < 0 {
		return fmt.Errorf("kind %q is none of %q", text, influenceNames[1:])
	}
	*k = InfluenceKind(i + 1)
	return nil
}

// Influence is one thing that moved a forecast, and by how much: what the
// forecast would be without it.
type Influence struct {
	Kind InfluenceKind `json:"kind"`
	// Text says it in words: "6 of 9 peers changed to v1.4 in the last 2 days".
	Text string `json:"text"`
	// Events are those that are remembered one by one, First and Last the span
	// that they lie in; an influence need not have any.
	Events int       `json:"events,omitempty"`
	First  time.Time `json:"first,omitzero"`
	Last   time.Time `json:"last,omitzero"`
	// Actors are who made them, the most frequent first, and Peers where.
	Actors []string  `json:"actors,omitempty"`
	Peers  []Address `json:"peers,omitempty"`
	// Without is the probability of leaving within each of [Horizons] if it had
	// not been.
	Without [len(Horizons)]float64 `json:"without"`
	// Effect is what it adds to the log odds of leaving within the explanation's
	// horizon; below 0 it makes that less likely.
	Effect float64 `json:"effect"`
}

// Explanation says why a setting is forecast to leave as it is, and, where there
// is a verdict on it, why that one.
type Explanation struct {
	Resource Address   `json:"resource"`
	Path     string    `json:"path"`
	Time     time.Time `json:"time"`
	Verdict  Verdict   `json:"verdict"`
	// Leave is the forecast that is explained, and Horizon the index into
	// [Horizons] of the one that effects are measured on.
	Leave   [len(Horizons)]float64 `json:"leave"`
	Horizon int                    `json:"horizon"`
	// Influences are sorted by the size of their effect, the greatest first. One
	// event may be part of several, so effects do not add up; Without is the
	// forecast if none of them had been.
	Influences []Influence            `json:"influences"`
	Without    [len(Horizons)]float64 `json:"without"`
	// Sentence is for a person.
	Sentence string `json:"sentence"`
}
