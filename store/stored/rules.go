package stored

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// CheckDecision returns an error of kind Invalid unless a decision, the proposal's new
// state and the planned run, nil if there is none, belong together.
func CheckDecision(what string, d *penumbra.Decision, p *penumbra.Proposal, run *penumbra.Run) error {
	if d.Proposal != p.ID || run != nil && run.Decision != d.ID {
		return apart(what)
	}
	return nil
}

func apart(what string) error {
	return &penumbra.Error{Kind: penumbra.Invalid, What: what + ": the decision, the proposal and the planned run do not belong together"}
}

// NoProposal is the error of a decision on what is not stored.
func NoProposal(what string) error {
	return &penumbra.Error{Kind: penumbra.NotFound, What: what + ": there is no such proposal"}
}

// CheckProposal returns an error of kind Stale unless the stored proposal is in the
// state and has the hash that are wanted.
func CheckProposal(what, state, hash string, want penumbra.ProposalStatus, wanted string) error {
	switch {
	case state != string(want):
		return &penumbra.Error{Kind: penumbra.Stale, What: what + ": it is already " + state, Remedy: "look at the drift's proposals again"}
	case hash != wanted:
		return &penumbra.Error{Kind: penumbra.Stale, What: what + ": it was planned again since it was shown", Remedy: "look at the new plan, then decide"}
	}
	return nil
}

// CheckStart returns an error unless a planned run rests on approvals that are among
// the proposal's recorded decisions, on this very plan, and by as many people as it
// needs: of kind Refused, or Invalid if it is no such run.
func CheckStart(what string, p *penumbra.Proposal, run *penumbra.Run, decisions []penumbra.Decision) error {
	if run.Proposal != p.ID || run.State != penumbra.Planned || !slices.Contains(run.Approvals, run.Decision) {
		return apart(what)
	}
	var people []string
	for _, id := range run.Approvals {
		i := slices.IndexFunc(decisions, func(d penumbra.Decision) bool { return d.ID == id })
		if i < 0 || decisions[i].Verb != penumbra.Approve || decisions[i].Hash != p.Hash {
			return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s: %s is no recorded approval of this plan", what, id)}
		}
		by := decisions[i].By
		if !slices.ContainsFunc(people, func(x string) bool { return penumbra.SamePerson(x, by) }) {
			people = append(people, by)
		}
	}
	if len(people) < max(1, run.Needs) {
		return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("%s: %d of %d people have approved this plan", what, len(people), run.Needs)}
	}
	return nil
}

// CheckRun reports whether a run's new state may take the place of the stored one,
// and whether it is another at all. The error is of kind Refused, for one that has
// ended otherwise.
func CheckRun(before, run *penumbra.Run) (changed bool, err error) {
	if !before.State.Ended() || before.State == penumbra.Done && run.State == penumbra.RolledBack {
		return true, nil
	}
	same := func(a *penumbra.Run) (bool, error) {
		x, err := Encode(a)
		if err != nil {
			return false, err
		}
		y, err := Encode(run)
		return bytes.Equal(x, y), err
	}
	if unchanged, err := same(before); unchanged || err != nil {
		return false, err
	}
	// What became of its change to the code, what its watch has seen, and who took
	// it back, is learnt after its end.
	looked := *before
	if looked.Code != nil && run.Code != nil {
		looked.Code = run.Code
	}
	if looked.Watch != nil && run.Watch != nil && looked.Watch.Ended.IsZero() {
		looked.Watch = run.Watch
	}
	if looked.State == penumbra.Halted && looked.UndoneBy == "" {
		looked.UndoneBy = run.UndoneBy
	}
	if allowed, err := same(&looked); allowed || err != nil {
		return true, err
	}
	return false, &penumbra.Error{Kind: penumbra.Refused,
		What: fmt.Sprintf("save run %s as %v: it has ended as %v", run.ID, run.State, before.State)}
}

// CheckRollups returns an error of kind Invalid that names the first rollup which
// cannot be stored.
func CheckRollups(rollups []penumbra.Rollup, where string) error {
	for i := range rollups {
		r := &rollups[i]
		if err := checkRollup(r); err != nil {
			return &penumbra.Error{Kind: penumbra.Invalid, Err: err,
				What: fmt.Sprintf("save rollup %d, of %q of %q, in store %s", i+1, r.Metric, r.Resource, where)}
		}
	}
	return nil
}

func checkRollup(r *penumbra.Rollup) error {
	switch {
	case r.Resource == "":
		return fmt.Errorf("resource is missing")
	case r.Metric == "":
		return fmt.Errorf("metric is missing")
	case r.Span <= 0:
		return fmt.Errorf("span %v is not positive", r.Span)
	}
	if err := CheckTime("start", r.Start); err != nil {
		return err
	}
	for _, x := range []float64{r.Sum, r.Min, r.Max, r.Last} {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return fmt.Errorf("number %v is not finite", x)
		}
	}
	return nil
}

// Aside is a record as it is kept aside.
type Aside struct {
	Of     *penumbra.AsideRecord
	ID     penumbra.ObservationID
	Target string // the first, "" if none
	Body   []byte // the record but for its message, which has a column
}

// AsideRecords returns records as they are kept aside. The error is of kind Invalid
// and names the first that cannot be used.
func AsideRecords(records []penumbra.AsideRecord, where string) ([]Aside, error) {
	for i := range records {
		r := &records[i].Record
		err := r.Check()
		if err == nil {
			err = CheckTime("time", r.Time)
		}
		if err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, Err: err,
				What: fmt.Sprintf("keep record %d, of input %q, aside in store %s", i+1, r.Input, where)}
		}
	}
	rows := make([]Aside, len(records))
	err := InParallel(len(records), func(i int) error { return rows[i].set(&records[i]) })
	return rows, err
}

func (r *Aside) set(a *penumbra.AsideRecord) (err error) {
	rest := a.Record
	r.Of, r.ID = a, rest.Identity()
	rest.Message = "" // has a column
	if len(rest.Targets) > 0 {
		r.Target = rest.Targets[0]
	}
	r.Body, err = Encode(rest)
	return err
}

// NameTaken, NoAccount, AccountTaken, NoToken and TokenTaken are what stores answer
// about who may come in.
func NameTaken(name string) error {
	return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("the name %s is taken", name), Remedy: "choose another; `penumbra user list` and `penumbra token list` show those there are"}
}

func NoAccount(id string) error {
	return &penumbra.Error{Kind: penumbra.NotFound, What: "there is no user " + id, Remedy: "see `penumbra user list`"}
}

func AccountTaken(id string) error {
	return &penumbra.Error{Kind: penumbra.Refused, What: "there is a user " + id + " already", Remedy: "see `penumbra user list`"}
}

func NoToken(id string) error {
	return &penumbra.Error{Kind: penumbra.NotFound, What: "there is no token " + id, Remedy: "see `penumbra token list`"}
}

func TokenTaken(id string) error {
	return &penumbra.Error{Kind: penumbra.Refused, What: "there is a token " + id + " already"}
}

// ChangeAccount is what change makes of an account; ID and name stay as they are.
func ChangeAccount(a penumbra.Account, change func(*penumbra.Account) error) (penumbra.Account, error) {
	id, name := a.ID, a.Name
	err := change(&a)
	a.ID, a.Name = id, name
	return a, err
}

// ChangeToken is what change makes of a token; ID, owner, name and hash stay as they
// are, and a revoked token stays revoked.
func ChangeToken(before penumbra.Token, change func(*penumbra.Token) error) (penumbra.Token, error) {
	t := before
	err := change(&t)
	t.ID, t.Owner, t.Name, t.Hash = before.ID, before.Owner, before.Name, before.Hash
	if !before.Revoked.IsZero() {
		t.Revoked = before.Revoked
	}
	return t, err
}

// NoVersion is the error of a version of the model that is not stored.
func NoVersion(number int) error {
	return &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("there is no version %d of the model", number), Remedy: "see `penumbra model list`"}
}

// VersionNotKept is the error of one whose body was given up.
func VersionNotKept(what string) error {
	return &penumbra.Error{Kind: penumbra.NotFound, What: what + ": its body is not kept",
		Remedy: "choose one that `penumbra model list` shows a size of, or train it again"}
}

// BadLine returns what a line that could not be read is known by, wherever and
// whenever it was seen, and as what it is stored.
func BadLine(line penumbra.BadLine) (digest [32]byte, body []byte, err error) {
	if body, err = Encode(line); err != nil {
		return digest, nil, err
	}
	line.Seen = time.Time{}
	identity, err := Encode(line)
	return sha256.Sum256(identity), body, err
}
