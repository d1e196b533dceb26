package mixture

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/daily"
	"github.com/penumbra-iac/penumbra/shadow/rnn"
)

// networks are the one that serves, the one that learns, and a copy of the
// latter that is on trial: it serves only once it has beaten the one that does,
// on questions that neither had learnt from when they answered.
type networks struct {
	net     *rnn.Network
	learner *rnn.Learner
	due     int64 // Unix seconds of the day whose answers are being learnt, 0 if none
	fresh   int   // tapes that the learner got since then
	owed    int   // updates of the learner that are put off

	candidate *rnn.Network // on trial, nil if there is none
	days      []trialDay   // of its trial so far
	trials    []trial      // the last that ended, oldest first

	previous  *rnn.Network // that served before the last adoption, nil if none did
	adopted   int64        // Unix seconds of that adoption
	takenBack []int64      // Unix seconds of adoptions that a person went back from
}

// trialDay is what the two networks lost on the questions that became known on
// one day, in nats with the questions' weights.
type trialDay struct {
	At                 int64 // Unix seconds
	Questions, Left    int
	Weight             float64
	Serving, Candidate float64
}

// trial is one that has ended.
type trial struct {
	trialDay       // its sums, and when it ended
	From     int64 // Unix seconds when it began
	Adopted  bool
}

// A trial lasts shortestTrial at least, and until mostLeft of its questions were
// of settings that changed, but no longer than longestTrial.
const (
	shortestTrial = 7 * daily.Seconds
	longestTrial  = 28 * daily.Seconds
	mostLeft      = 20
	// keptTrials is how many of those that ended are remembered.
	keptTrials = 64
)

// sum returns a trial's sums. Its time is that of its last day.
func sum(days []trialDay) trialDay {
	var s trialDay
	for _, d := range days {
		s.At = d.At
		s.Questions += d.Questions
		s.Left += d.Left
		s.Weight += d.Weight
		s.Serving += d.Serving
		s.Candidate += d.Candidate
	}
	return s
}

// verdict says whether a trial that began at a time is over, and whether the
// candidate has won it: by less loss on all its questions together. One without
// a question of a setting that changed shows nothing, and is lost.
func verdict(began int64, days []trialDay) (over, won bool) {
	if len(days) == 0 {
		return false, false
	}
	s := sum(days)
	lasted := s.At - began
	over = lasted >= longestTrial || lasted >= shortestTrial && s.Left >= mostLeft
	return over, over && s.Left > 0 && s.Candidate < s.Serving
}

// learnNetwork hands what became known of a day's questions to the network's
// learner, and returns of how many.
func (m *Model) learnNetwork(c *cohort) int {
	n := &m.networks
	var fresh []*rnn.Tape
	left := 0
	for _, x := range c.examples {
		if x.tape == nil {
			continue
		}
		out := rnn.Outcome{Survived: horizons}
		if int(x.interval) < horizons {
			out = rnn.Outcome{Survived: int(x.interval), Happened: true}
			left++
		}
		if x.tape.Answer(0, out) == nil {
			fresh = append(fresh, x.tape)
		}
		x.tape = nil
	}
	n.try(c.at+seconds[last], fresh, left)
	kept := 0
	for _, t := range fresh {
		if n.learner.Add(t) == nil {
			kept++
		}
	}
	return kept
}

// try lets both networks answer questions that neither has learnt from.
func (n *networks) try(at int64, tapes []*rnn.Tape, left int) {
	if n.candidate == nil || len(tapes) == 0 {
		return
	}
	serving, err := rnn.Evaluate(context.Background(), n.net, tapes...)
	if err != nil {
		return // a tape of another shape, which nothing can be learnt from either
	}
	candidate, err := rnn.Evaluate(context.Background(), n.candidate, tapes...)
	if err != nil {
		return
	}
	n.days = append(n.days, trialDay{
		At: at, Questions: len(tapes), Left: left, Weight: serving.Hazard.Weight,
		Serving: serving.Hazard.Sum, Candidate: candidate.Hazard.Sum,
	})
}

// updateNetwork ends a day: a trial that is over is decided, the next begins,
// and the learner owes an update for every 16 tapes that are fresh.
func (m *Model) updateNetwork(at int64) {
	if m.options.NoNetwork {
		return
	}
	n := &m.networks
	n.owed, n.fresh = (n.fresh+15)/16, 0
	if n.candidate == nil {
		if n.learner.Kept() > 0 {
			n.begin(at)
		}
		return
	}
	began := n.began()
	over, won := verdict(began, n.days)
	if !over {
		return
	}
	t := trial{trialDay: sum(n.days), From: began, Adopted: won && !slices.Contains(n.takenBack, at)}
	t.At = at
	if t.Adopted {
		n.previous, n.net, n.adopted = n.net, n.candidate, at
	}
	if n.trials = append(n.trials, t); len(n.trials) > keptTrials {
		n.trials = slices.Delete(n.trials, 0, 1)
	}
	n.begin(at)
}

// begin begins a trial of the network that learns, as it is now.
func (n *networks) begin(at int64) {
	n.candidate = n.learner.Network()
	n.days = append(n.days[:0], trialDay{At: at})
}

// began returns when the trial began: its first day is the mark of that.
func (n *networks) began() int64 {
	if len(n.days) == 0 {
		return math.MaxInt64
	}
	return n.days[0].At
}

// Learn does a piece of what there is to learn: one interval of one day's
// questions, or one update of the network. It reports whether there is more.
// Observe calls it once, so that no observation waits for all that a day has to
// learn; who has time between two observations may call it too.
func (m *Model) Learn() (more bool) {
	n := &m.networks
	if n.due > 0 {
		if !m.mature(n.due) {
			m.matured(n.due)
			n.due = 0
		}
		return true
	}
	if n.owed == 0 {
		return false
	}
	n.owed--
	if _, err := n.learner.Update(); err != nil {
		n.owed = 0 // it keeps what it had
	}
	return n.owed > 0
}

// Learnt returns, oldest first, the last versions of the network that were
// tried while the model served, adopted or refused.
func (m *Model) Learnt() []penumbra.ModelVersion {
	out := make([]penumbra.ModelVersion, len(m.trials))
	for i := range m.trials {
		out[i] = m.trials[i].version()
		if slices.Contains(m.takenBack, m.trials[i].At) {
			out[i].State = penumbra.TakenBackVersion
		}
	}
	return out
}

func (t *trial) version() penumbra.ModelVersion {
	mean := func(loss float64) float64 { return loss / math.Max(t.Weight, 1e-9) }
	v := penumbra.ModelVersion{
		Created: time.Unix(t.At, 0).UTC(), Family: "mixture", Origin: penumbra.LearntVersion, State: penumbra.RefusedVersion,
		Score: &penumbra.VersionScore{
			From: time.Unix(t.From, 0).UTC(), To: time.Unix(t.At, 0).UTC(), Horizon: penumbra.HorizonNames[last],
			Questions: t.Questions, Left: t.Left, LogLoss: mean(t.Candidate), OverLogLoss: mean(t.Serving), OverFamily: "mixture",
			Better: t.Left > 0 && t.Candidate < t.Serving,
		},
	}
	result := "was refused"
	if t.Adopted {
		v.State, result = penumbra.AdoptedVersion, "was adopted"
	}
	v.Why = fmt.Sprintf("The network that kept learning %s: on %d questions that became known (%d left) its log loss was %.5f, that of the one that served %.5f.",
		result, t.Questions, t.Left, mean(t.Candidate), mean(t.Serving))
	return v
}

// TakeBack makes sure that the network adopted at the time does not serve: the
// one before it does again if it is there. So does a model that is built again
// from the timeline if it is called before it has come to that time. It reports
// whether another network serves now.
func (m *Model) TakeBack(adopted time.Time) bool {
	n := &m.networks
	at := adopted.Unix()
	if !slices.Contains(n.takenBack, at) {
		n.takenBack = append(n.takenBack, at)
	}
	if n.adopted != at || n.previous == nil {
		return false
	}
	n.net, n.previous = n.previous, nil
	return true
}
