// Package reads has the sources of stacks read, and stacks planned, by whichever node has
// room. It answers one question: of the nodes that share a database, which one runs the tool?
//
// The node that leads asks ([Asker]), each node reads ([Reader]), and what was read comes
// back through the database, encrypted under the master key. Whoever leads still says when
// a source is read, dates what was read, and judges it.
//
// A plan is asked for as a reading is: to plan is to read, and to compare. Its file comes back
// with it, is kept by the node that leads alone, and applied there as if it was made there.
//
// # Guarantees
//
// A reading changes nothing, so that it may be done again: it is, by another node, when the
// one that had it is not heard of for some seconds. An answer belongs to one attempt. One
// that comes late is dropped, since the attempt is gone by then, and so is what a leader of
// an earlier term asked for. A node that would read something else, as its configuration or
// its copy of the code is another one, gives the reading back, and the node that leads reads.
// So it does what another one could not, before it says so. So does a node whose plan could not
// be applied by the one that leads, or is larger than what is sent.
package reads

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/internal/atrest"
	"github.com/penumbra-iac/penumbra/store/postgres"
	"github.com/penumbra-iac/penumbra/store/stored"
)

// beat is how often a node says that it is still at its readings, and lost how long a node
// goes on with them that cannot: those who wait have given them up by then.
const (
	beat = 2 * time.Second
	lost = postgres.ReaderSilence
)

// mostPlan is the size in bytes of the largest plan that is sent, encrypted: it lies in the
// memory of both nodes and of the database at once.
const mostPlan = 16 << 20

// A Planner plans a stack, also for another machine.
type Planner interface {
	// Plan plans the targets, all if there are none, with the patch if it is not nil,
	// and saves the plan. It changes nothing.
	Plan(ctx context.Context, targets []penumbra.Address, patch *penumbra.Patch) (penumbra.Plan, error)
	// TakePlan returns the file of a plan that was made here, encrypted under keys that all
	// nodes have, and removes it.
	TakePlan(plan penumbra.Plan) ([]byte, error)
	// KeepPlan saves here what TakePlan returned on another machine, and returns the plan
	// as it is kept.
	KeepPlan(plan penumbra.Plan, saved []byte) (penumbra.Plan, error)
	// PlanDigest is of what has to be the same on two machines, beside what has to be for
	// both to read the same, for one to apply what the other has planned.
	PlanDigest(ctx context.Context) (string, error)
}

// order is what a plan is asked of.
type order struct {
	Targets []penumbra.Address
	Patch   *penumbra.Patch
}

// orderOf tells sealed orders apart: no two are the same, even of the same.
func orderOf(sealed []byte) []byte {
	sum := sha256.Sum256(sealed)
	return sum[:]
}

// answer is what a node gives back.
type answer struct {
	Observations []penumbra.Observation
	// Plan is what was planned, Saved its file, and Order a digest of what was asked: an
	// answer to something else is none.
	Plan         *penumbra.Plan
	Saved, Order []byte
	here         bool // it was made in this process, and never sent
	// Back is why the node has not read, "" if it has. Again says that another one may, and
	// Large that the plan is larger than what is sent.
	Back         string
	Again, Large bool
	// What is not empty if reading failed, see [penumbra.Error].
	Kind                penumbra.ErrorKind
	What, Remedy, Cause string
}

// failed makes the answer of a reading that failed. It says no secret.
func failed(err error) answer {
	a := answer{Kind: penumbra.KindOf(err), What: penumbra.Redact(err.Error())}
	// An error that is told as it is keeps its parts; what stands around one is told with it.
	if e, whole := err.(*penumbra.Error); whole { //nolint:errorlint // what wraps one says more than it does
		a.What, a.Remedy = penumbra.Redact(e.What), penumbra.Redact(e.Remedy)
		if e.Err != nil {
			a.Cause = penumbra.Redact(e.Err.Error())
		}
	}
	if a.What == "" {
		a.What = "it could not be read"
	}
	return a
}

// err is the error of a reading that failed, nil of any other.
func (a *answer) err() error {
	if a.What == "" {
		return nil
	}
	e := &penumbra.Error{Kind: a.Kind, What: a.What, Remedy: a.Remedy}
	if a.Cause != "" {
		e.Err = errors.New(a.Cause)
	}
	return e
}

// seal writes an answer or an order so that only who has the master key reads it.
func seal(what any, master atrest.Master) ([]byte, error) {
	body, err := stored.Encode(what)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err == nil {
		_, err = w.Write(body)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, err
	}
	return master.Seal(packed.Bytes())
}

// open reads what seal wrote.
func open(sealed []byte, master atrest.Master, into any) error {
	packed, err := master.Open(sealed)
	if err != nil {
		return err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return stored.Decode(body, into)
}

// read reads all of a source, or some of its resources.
func read(ctx context.Context, source engine.Source, some []penumbra.Address) ([]penumbra.Observation, error) {
	if targeted, ok := source.(engine.Targeted); ok && len(some) > 0 {
		return targeted.ReadSome(ctx, some)
	}
	return source.Read(ctx)
}
