package engine

import (
	"bytes"
	"context"

	"github.com/penumbra-iac/penumbra"
)

// The checkpoints of what logs and metrics taught.
const (
	monitorCheckpoint = "anomaly"
	mapperCheckpoint  = "events"
	ratesCheckpoint   = "diagnosis"
)

// eyes are the stages of logs and metrics whose state is kept.
func (e *Engine) eyes() map[string]Checkpointer {
	out := map[string]Checkpointer{}
	if e.cfg.Monitor != nil {
		out[monitorCheckpoint] = e.cfg.Monitor
	}
	if c, ok := e.cfg.Mapper.(Checkpointer); ok {
		out[mapperCheckpoint] = c
	}
	if e.cfg.Diagnosis != nil {
		out[ratesCheckpoint] = e.cfg.Diagnosis
	}
	return out
}

func (e *Engine) saveEyes(ctx context.Context) error {
	if err := e.SaveRollups(ctx); err != nil {
		return err
	}
	for name, c := range e.eyes() {
		var buf bytes.Buffer
		e.mu.Lock()
		_, err := c.WriteTo(&buf)
		e.mu.Unlock()
		if err != nil {
			return err
		}
		if err := e.cfg.Store.SaveCheckpoint(ctx, penumbra.Checkpoint{Name: name, Time: e.clock.now(), Data: buf.Bytes()}); err != nil {
			return err
		}
	}
	return nil
}

// loadEyes reads back what saveEyes kept, and the rollups that were open.
func (e *Engine) loadEyes(ctx context.Context) error {
	for name, c := range e.eyes() {
		saved, err := e.cfg.Store.Checkpoint(ctx, name)
		if err == nil {
			_, err = c.ReadFrom(bytes.NewReader(saved.Data))
		}
		if err != nil && penumbra.KindOf(err) != penumbra.NotFound {
			e.log.Warn("what was learnt of logs and metrics cannot be used; it is learnt again", "checkpoint", name, "error", err)
		}
	}
	if e.cfg.Monitor == nil {
		return nil
	}
	if err := e.recallAnomalies(ctx); err != nil {
		return err
	}
	return e.LoadRollups(ctx)
}
