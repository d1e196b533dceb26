package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// AutoModel is the model's name with which the active version decides the
// family, and FirstFamily is the one that serves while no version is active.
const (
	AutoModel   = "auto"
	FirstFamily = "pooled"
)

// serving is the model that keeps the shadow: where it starts from.
type serving struct {
	family string
	active penumbra.ModelVersion // Number is 0 if none is
	body   []byte                // of the active version, nil if it starts from nothing
	// withheld are the times of what was learnt and taken back.
	withheld []time.Time
}

// checkpoint is the name of the model's checkpoint in the store. A checkpoint
// follows from what the model started from, so that each version has its own.
func (s *serving) checkpoint() string {
	name := "shadow/" + s.family
	if s.active.Number > 0 {
		name += fmt.Sprintf("@%d", s.active.Number)
	}
	return name
}

// loadModel reads which version is active, and what is in it. With a family that is fixed
// a version of another one is passed over.
func (e *Engine) loadModel(ctx context.Context) error {
	s, passed, err := e.serves(ctx)
	if err != nil {
		return err
	}
	for _, v := range passed {
		e.log.Warn("the active version of the model is of another family than the configuration asks for", "version", v.Number, "family", v.Family, "model", e.cfg.ModelName)
	}
	if s.active.Number > 0 {
		if s.body, err = e.cfg.Store.VersionBody(ctx, s.active.Number); err != nil {
			return err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.model = s
	e.catalogue.Serves(s.family, s.active.Number)
	return nil
}

// serves returns the model that the versions in the store say, without what is in it, and
// those that are active and passed over.
func (e *Engine) serves(ctx context.Context) (s serving, passed []penumbra.ModelVersion, err error) {
	s.family = e.cfg.ModelName
	if s.family == AutoModel {
		s.family = FirstFamily
	}
	versions, err := e.cfg.Store.Versions(ctx)
	for _, v := range versions {
		switch {
		case v.State == penumbra.TakenBackVersion && v.Origin == penumbra.LearntVersion:
			s.withheld = append(s.withheld, v.Created)
		case v.State != penumbra.ActiveVersion || e.cfg.NewFamily == nil:
		case e.cfg.ModelName == AutoModel || e.cfg.ModelName == v.Family:
			s.active, s.family = v, v.Family
		default:
			passed = append(passed, v)
		}
	}
	return s, passed, err
}

// newShadow makes the shadow that the model starts from.
func (e *Engine) newShadow() (Shadow, error) {
	if e.cfg.NewFamily == nil {
		return e.cfg.NewShadow(), nil
	}
	return e.cfg.NewFamily(e.model.family, e.model.body)
}

// withhold keeps a shadow from what was taken back.
func (e *Engine) withhold(s Shadow) {
	if l, ok := s.(Learner); ok {
		for _, at := range e.model.withheld {
			l.TakeBack(at)
		}
	}
}

// pause is how long learning waits if there is nothing to learn, and rest how
// long between two pieces of work, so that observations come first.
const (
	pause = time.Second
	rest  = 5 * time.Millisecond
)

// learn does in the background what observations have put off.
func (e *Engine) learn(ctx context.Context) error {
	wait := time.NewTimer(pause)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wait.C:
		}
		e.mu.Lock()
		l, ok := e.shadow.(Learner)
		more := ok && l.Learn()
		e.mu.Unlock()
		if more {
			wait.Reset(rest)
		} else {
			wait.Reset(pause)
		}
	}
}

// recordLearnt stores the versions that the shadow has tried since the last one
// that is stored. Of a history that has just been taken in only the last adopted
// one and those after it are worth a record.
func (e *Engine) recordLearnt(ctx context.Context) error {
	e.mu.RLock()
	l, ok := e.shadow.(Learner)
	var tried []penumbra.ModelVersion
	if ok {
		tried = l.Learnt()
	}
	e.mu.RUnlock()
	if len(tried) == 0 {
		return nil
	}
	versions, err := e.cfg.Store.Versions(ctx)
	if err != nil {
		return err
	}
	var stored []penumbra.ModelVersion
	for _, v := range versions {
		if v.Origin == penumbra.LearntVersion {
			stored = append(stored, v)
		}
	}
	first := 0
	for i := range tried {
		known := func(v penumbra.ModelVersion) bool { return !tried[i].Created.After(v.Created) }
		if slices.ContainsFunc(stored, known) || len(stored) == 0 && tried[i].State == penumbra.AdoptedVersion {
			first = i
			if len(stored) > 0 {
				first++
			}
		}
	}
	for _, v := range tried[first:] {
		if stored, err = e.addLearnt(ctx, v, stored); err != nil {
			return err
		}
	}
	return nil
}

// addLearnt stores one that was tried beside those that are, and returns them
// all; the one adopted before it is retired.
func (e *Engine) addLearnt(ctx context.Context, v penumbra.ModelVersion, stored []penumbra.ModelVersion) ([]penumbra.ModelVersion, error) {
	v.Before = e.model.active.Number
	if v.Score != nil {
		v.Score.Over = v.Before
	}
	var err error
	if v.Number, err = e.cfg.Store.AddVersion(ctx, v, nil); err != nil || v.State != penumbra.AdoptedVersion {
		return append(stored, v), err
	}
	var retired []penumbra.ModelVersion
	for i := range stored {
		if stored[i].State == penumbra.AdoptedVersion {
			stored[i].State = penumbra.RetiredVersion
			retired = append(retired, stored[i])
		}
	}
	return append(stored, v), e.cfg.Store.SaveVersions(ctx, retired)
}

// Model returns the model that keeps the shadow.
func (e *Engine) Model(ctx context.Context) (penumbra.ModelStatus, error) {
	e.mu.RLock()
	st := penumbra.ModelStatus{
		Configured: e.cfg.ModelName, Family: e.model.family, Version: e.model.active.Number, Why: e.model.active.Why,
	}
	name := e.model.checkpoint()
	for _, r := range e.resources {
		if !r.Deleted {
			st.Resources++
		}
	}
	if p, ok := e.shadow.(Pool); ok {
		pool := p.Pool()
		st.Pool = &pool
	}
	e.mu.RUnlock()
	if st.Version == 0 && st.Configured == AutoModel {
		st.Why = "No version was promoted yet, so the simplest family serves. `penumbra train` finds the one that is best on your own past."
	}
	c, err := e.cfg.Store.Checkpoint(ctx, name)
	switch {
	case err == nil:
		st.Bytes, st.Saved = int64(len(c.Data)), c.Time
	case penumbra.KindOf(err) != penumbra.NotFound && penumbra.KindOf(err) != penumbra.Damaged:
		return st, err
	}
	return st, nil
}

// Versions returns the versions of the model, the newest first.
func (e *Engine) Versions(ctx context.Context) ([]penumbra.ModelVersion, error) {
	return e.cfg.Store.Versions(ctx)
}

// AddVersion stores a trained version as a candidate. It returns an error of
// kind Damaged if the body is not one of its family.
func (e *Engine) AddVersion(ctx context.Context, v penumbra.ModelVersion, body []byte) (penumbra.ModelVersion, error) {
	if e.cfg.ReadOnly || e.cfg.NewFamily == nil {
		return v, &penumbra.Error{Kind: penumbra.Refused, What: "add a version of the model: this engine only reads"}
	}
	if _, err := e.cfg.NewFamily(v.Family, body); err != nil {
		return v, err
	}
	if body == nil {
		body = []byte{}
	}
	v.Origin, v.State = penumbra.TrainedVersion, penumbra.CandidateVersion
	if v.Created.IsZero() {
		v.Created = e.cfg.Now().UTC()
	}
	var err error
	v.Number, err = e.cfg.Store.AddVersion(ctx, v, body)
	v.Kept, v.Size = true, int64(len(body))
	return v, err
}

func (e *Engine) version(ctx context.Context, number int) (penumbra.ModelVersion, error) {
	versions, err := e.cfg.Store.Versions(ctx)
	if err != nil {
		return penumbra.ModelVersion{}, err
	}
	for _, v := range versions {
		if v.Number == number {
			return v, nil
		}
	}
	return penumbra.ModelVersion{}, &penumbra.Error{Kind: penumbra.NotFound, What: fmt.Sprintf("there is no version %d of the model", number), Remedy: "see `penumbra model list`"}
}

// Promote makes a version the active one: the model is built again from it and
// the timeline, while observations wait. It is an error of kind Refused if the
// version has not beaten the active one and no reason is given to take it all
// the same.
func (e *Engine) Promote(ctx context.Context, number int, by, forced string) (penumbra.ModelVersion, error) {
	v, err := e.version(ctx, number)
	if err != nil {
		return v, err
	}
	e.mu.RLock()
	active := e.model.active
	e.mu.RUnlock()
	if err := e.mayPromote(&v, &active, forced); err != nil {
		return v, err
	}
	v.State, v.Before, v.Promoted, v.By, v.Forced = penumbra.ActiveVersion, active.Number, e.cfg.Now().UTC(), by, forced
	active.State = penumbra.RetiredVersion
	if err := e.activate(ctx, &v, active); err != nil {
		return v, err
	}
	return v, nil
}

func (e *Engine) mayPromote(v, active *penumbra.ModelVersion, forced string) error {
	refuse := func(remedy, format string, args ...any) error {
		return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("promote version %d: ", v.Number) + fmt.Sprintf(format, args...), Remedy: remedy}
	}
	const train = "train another with `penumbra train`, or say why with --force REASON"
	switch {
	case e.cfg.ReadOnly || e.cfg.NewFamily == nil:
		return refuse("", "this engine only reads")
	case v.Number == active.Number:
		return refuse("there is nothing to do", "it is active already")
	case v.Origin == penumbra.LearntVersion:
		return refuse("there is nothing to do", "what a model learns while it serves it adopts by itself")
	case !v.Kept:
		return refuse("train it again with `penumbra train`", "its body is no longer kept")
	case e.cfg.ModelName != AutoModel && v.Family != e.cfg.ModelName:
		return refuse("set `model: auto` or `model: "+v.Family+"` in the configuration", "it is of the family %s, and the configuration fixes %s", v.Family, e.cfg.ModelName)
	case forced != "":
		return nil
	case v.Score == nil:
		return refuse(train, "there was no history to score it on")
	case v.Score.Over != active.Number:
		return refuse(train, "it was held against %s, and %s is active now", versionName(v.Score.Over), versionName(active.Number))
	case !v.Score.Better:
		return refuse(train, "on the latest window it does not beat %s: log loss %.5f against %.5f", versionName(active.Number), v.Score.LogLoss, v.Score.OverLogLoss)
	}
	return nil
}

func versionName(number int) string {
	if number == 0 {
		return "the model as it ships"
	}
	return fmt.Sprintf("version %d", number)
}

// activate makes a version the active one, none if it is nil, in the place of
// the one that is left, with its new state. The model is built again while nothing is folded in: that
// is the only time at which it may be another.
func (e *Engine) activate(ctx context.Context, v *penumbra.ModelVersion, left penumbra.ModelVersion) error {
	next := serving{family: e.cfg.ModelName}
	if next.family == AutoModel {
		next.family = FirstFamily
	}
	var changed []penumbra.ModelVersion
	if v != nil {
		body, err := e.cfg.Store.VersionBody(ctx, v.Number)
		if err != nil {
			return err
		}
		if _, err := e.cfg.NewFamily(v.Family, body); err != nil {
			return err // what cannot serve must not be active
		}
		next.family, next.active, next.body = v.Family, *v, body
		changed = append(changed, *v)
	}
	defer e.settled()()
	e.mu.RLock()
	before := e.model
	e.mu.RUnlock()
	next.withheld = before.withheld
	if left.Number > 0 {
		changed = append(changed, left)
	}
	if err := e.cfg.Store.SaveVersions(ctx, changed); err != nil {
		return err
	}
	if err := e.rebuildAs(ctx, next); err != nil {
		return err
	}
	e.log.Info("another version of the model keeps the shadow", "family", next.family, "version", next.active.Number)
	// A checkpoint that nobody reads again is only in the way.
	return joinFirst(e.save(ctx), e.cfg.Store.SaveCheckpoint(ctx, penumbra.Checkpoint{Name: before.checkpoint(), Time: e.clock.now()}))
}

// rebuildAs builds the model again from the timeline, whatever checkpoint there
// is. Everything stored is folded in, and stays so.
func (e *Engine) rebuildAs(ctx context.Context, next serving) error {
	e.mu.Lock()
	e.model, e.late = next, true
	e.catalogue.Serves(next.family, next.active.Number)
	e.mu.Unlock()
	return e.restore(ctx)
}

// RollbackModel goes back by one: what the model adopted last while it served
// no longer serves, or, if there is no such, the version that was active before
// the active one serves again. It returns the version that was left.
func (e *Engine) RollbackModel(ctx context.Context, by string) (penumbra.ModelVersion, error) {
	if e.cfg.ReadOnly {
		return penumbra.ModelVersion{}, &penumbra.Error{Kind: penumbra.Refused, What: "go back to another version of the model: this engine only reads"}
	}
	versions, err := e.cfg.Store.Versions(ctx)
	if err != nil {
		return penumbra.ModelVersion{}, err
	}
	e.mu.RLock()
	active := e.model.active
	e.mu.RUnlock()
	for _, v := range versions {
		if v.State == penumbra.AdoptedVersion && v.Before == active.Number {
			v.State, v.By = penumbra.TakenBackVersion, by
			return v, e.takeBack(ctx, v)
		}
	}
	if active.Number == 0 {
		return active, &penumbra.Error{Kind: penumbra.Refused, What: "go back to another version of the model: no version is active", Remedy: "see `penumbra model list`"}
	}
	var before *penumbra.ModelVersion
	if active.Before > 0 {
		v, err := e.version(ctx, active.Before)
		if err != nil {
			return active, err
		}
		v.State, v.Promoted, v.By = penumbra.ActiveVersion, e.cfg.Now().UTC(), by
		before = &v
	}
	active.State, active.By = penumbra.TakenBackVersion, by
	return active, e.activate(ctx, before, active)
}

// takeBack lets what was learnt serve no longer.
func (e *Engine) takeBack(ctx context.Context, v penumbra.ModelVersion) error {
	defer e.settled()()
	if err := e.cfg.Store.SaveVersions(ctx, []penumbra.ModelVersion{v}); err != nil {
		return err
	}
	e.mu.Lock()
	e.model.withheld = append(e.model.withheld, v.Created)
	next := e.model
	l, ok := e.shadow.(Learner)
	back := ok && l.TakeBack(v.Created)
	e.mu.Unlock()
	if !back { // what served before it is no longer there
		if err := e.rebuildAs(ctx, next); err != nil {
			return err
		}
	}
	return e.save(ctx)
}
