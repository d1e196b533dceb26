package inputs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/penumbra-iac/penumbra"
)

// An Input is where log records or metrics come from.
type Input struct {
	Name string
	Kind string // its format: "postgresql", "cloudtrail", "prometheus"
	// Run reads it and gives what it reads to feed, until ctx ends. An error of
	// kind Unavailable or Locked is retried with back-off, any other at the
	// longest interval: the remedy is a person's. Nil if others send to it.
	Run func(ctx context.Context, feed *Feed) error
	// Aside bounds what is kept of its records that nobody knows the resource of.
	Aside AsideBound
}

// input is an input at work.
type input struct {
	Input

	mu      sync.Mutex
	status  penumbra.InputStatus
	trouble map[string]string // by the part that has it
	// untrimmed is how many records were kept aside since the bound was looked at.
	untrimmed int64
}

// now returns the input's state.
func (in *input) now() penumbra.InputStatus {
	in.mu.Lock()
	defer in.mu.Unlock()
	st := in.status
	for _, part := range slices.Sorted(maps.Keys(in.trouble)) {
		if st.Error != "" {
			st.Error += "; "
		}
		st.Error += part + ": " + in.trouble[part]
	}
	return st
}

// longestRetry is how long an input that fails waits at most.
const longestRetry = 5 * time.Minute

func (k *Intake) openInputs() error {
	k.inputs = map[string]*input{}
	k.meters = newMeters()
	for _, in := range k.cfg.Inputs {
		if k.inputs[in.Name] != nil {
			return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("two inputs are named %q", in.Name), Remedy: "give each a name of its own"}
		}
		k.inputs[in.Name] = &input{Input: in, status: penumbra.InputStatus{Name: in.Name, Kind: in.Kind}, trouble: map[string]string{}}
	}
	return nil
}

// Feed takes in what one input brings.
type Feed struct {
	intake *Intake
	input  *input
}

// Feed returns the feed of an input, nil if there is no such input.
func (k *Intake) Feed(name string) *Feed {
	in := k.inputs[name]
	if in == nil {
		return nil
	}
	return &Feed{intake: k, input: in}
}

// note changes the input's state.
func (f *Feed) note(change func(*penumbra.InputStatus)) {
	f.input.mu.Lock()
	defer f.input.mu.Unlock()
	before := f.input.status.Error
	change(&f.input.status)
	if now := f.input.status.Error; now != before && f.intake.cfg.Stopped != nil {
		f.intake.cfg.Stopped(f.input.Name, now)
	}
}

// Trouble notes why a part of an input, such as one of its queries, brings nothing
// while the others go on; "" takes it back.
func (f *Feed) Trouble(part, reason string) {
	f.input.mu.Lock()
	defer f.input.mu.Unlock()
	if reason == "" {
		delete(f.input.trouble, part)
		return
	}
	if f.input.trouble[part] != reason {
		f.intake.cfg.Log.Warn("a part of an input brings nothing", "input", f.input.Name, "part", part, "error", reason)
	}
	f.input.trouble[part] = reason
}

// Note tells what keeps what comes from being whole or new.
func (f *Feed) Note(text string) {
	text = penumbra.Redact(text)
	f.intake.cfg.Log.Warn("an input has something to tell", "input", f.input.Name, "note", text)
	f.note(func(s *penumbra.InputStatus) { s.Note = text })
}

// Known returns the resources of a stack that are there.
func (f *Feed) Known(stack string) []penumbra.Address {
	return f.intake.cfg.Loop.Known(stack)
}

// Load returns what Save kept last of where the input was read to, nil if
// nothing was.
func (f *Feed) Load(ctx context.Context, name string) ([]byte, error) {
	c, err := f.intake.cfg.Store.Checkpoint(ctx, cursorPrefix+name)
	if penumbra.KindOf(err) == penumbra.NotFound {
		return nil, nil
	}
	return c.Data, err
}

// Save keeps where the input was read to.
func (f *Feed) Save(ctx context.Context, name string, data []byte) error {
	return f.intake.cfg.Store.SaveCheckpoint(ctx, penumbra.Checkpoint{Name: cursorPrefix + name, Time: f.intake.cfg.Now().UTC(), Data: data})
}

const cursorPrefix = "cursor/"

// listen runs an input until ctx ends, again and again if it fails.
func (k *Intake) listen(ctx context.Context, in *input) error {
	feed := &Feed{intake: k, input: in}
	retry := backoff.NewExponentialBackOff()
	retry.InitialInterval, retry.MaxInterval = time.Second, longestRetry
	for {
		started := time.Now()
		err := in.Run(ctx, feed)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(started) > longestRetry {
			retry.Reset() // it worked for long: this is another failure
		}
		wait := longestRetry
		if err == nil || penumbra.KindOf(err).Retry() || penumbra.KindOf(err) == penumbra.Full {
			wait = retry.NextBackOff()
		}
		reason := "it ended"
		if err != nil {
			reason = penumbra.Redact(err.Error())
		}
		feed.note(func(s *penumbra.InputStatus) { s.Error, s.Failures = reason, s.Failures+1 })
		k.cfg.Log.Warn("an input failed and is tried again", "input", in.Name, "error", reason, "in", wait.Round(time.Second))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// Inputs returns the state of each input, by name.
func (k *Intake) Inputs(context.Context) ([]penumbra.InputStatus, error) {
	out := []penumbra.InputStatus{}
	for _, name := range slices.Sorted(maps.Keys(k.inputs)) {
		st := k.inputs[name].now()
		st.Series = k.meters.seriesOf(name)
		out = append(out, st)
	}
	return out, nil
}
