package remediation

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// books keep attentions and messages in memory.
type books struct {
	attentions map[string]penumbra.Attention
	sent       []penumbra.Message
	how        string
	err        error
}

func (b *books) SaveAttention(_ context.Context, a penumbra.Attention) error {
	b.attentions[a.ID] = a
	return b.err
}

func (b *books) EndAttention(_ context.Context, id string) error {
	delete(b.attentions, id)
	return b.err
}

func (b *books) Send(_ context.Context, _, _ string, m penumbra.Message) (string, error) {
	b.sent = append(b.sent, m)
	return b.how, b.err
}

func advice(kind penumbra.ProposalKind) penumbra.Proposal {
	p := penumbra.Proposal{ID: "p-1", Drift: "d-1", Kind: kind}
	if kind == penumbra.TellOwner {
		p.Message = &penumbra.Message{To: []string{"carol"}, Subject: "s", Text: "t"}
	} else {
		p.Attention = &penumbra.Attention{ID: "w-1", Resource: address, Every: time.Minute, Usually: time.Hour, Until: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)}
	}
	p.Hash = p.Digest()
	return p
}

func TestAdviceIsCarriedOut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind    penumbra.ProposalKind
		how     string
		err     error
		state   penumbra.RunState
		outcome string
	}{
		"watch closer":            {penumbra.WatchCloser, "", nil, penumbra.Done, "shop/conffile_service.queue is read every 1m0s until 2026-03-02 00:00 UTC"},
		"back to the usual":       {penumbra.Restore, "", nil, penumbra.Done, "is read every 1h0m0s again"},
		"nothing could be stored": {penumbra.WatchCloser, "", errors.New("disk"), penumbra.Failed, "nothing was changed: change how often it is read: disk"},
		"told by mail":            {penumbra.TellOwner, "goes out by mail", nil, penumbra.Done, "the message for carol goes out by mail; whether the changes stop"},
		"told by a person":        {penumbra.TellOwner, "", nil, penumbra.Done, "alice has told carol, or will: no notification is configured"},
		"the mail server is away": {penumbra.TellOwner, "", errors.New("no answer"), penumbra.Failed, "nothing was changed: send the message: no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, b := newWorld(), &books{attentions: map[string]penumbra.Attention{"w-1": {}}, how: c.how, err: c.err}
			m := w.machine()
			m.Attentions, m.Messenger = b, b
			p := advice(c.kind)
			run, decision := approved(p)
			run, _ = m.Execute(t.Context(), run, p, decision)
			if run.State != c.state || !strings.Contains(run.Outcome, c.outcome) || w.applies != 0 {
				t.Errorf("%s: %s", run.State, run.Outcome)
			}
			switch a, kept := b.attentions["w-1"]; {
			case c.kind == penumbra.Restore && kept:
				t.Error("it is still watched")
			case c.kind == penumbra.WatchCloser && a.By != "alice":
				t.Errorf("watched so: %+v", a)
			case c.kind == penumbra.TellOwner && len(b.sent) != 1:
				t.Errorf("sent %d times", len(b.sent))
			}
		})
	}
}

// A message is never sent a second time: after a kill nobody knows whether it went
// out, and a person is asked. What is watched is saved again.
func TestAdviceAfterAKill(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind penumbra.ProposalKind
		at   penumbra.RunState
		want penumbra.RunState
	}{
		{penumbra.TellOwner, penumbra.Checking, penumbra.Failed},
		{penumbra.TellOwner, penumbra.Applying, penumbra.Halted},
		{penumbra.TellOwner, penumbra.Verifying, penumbra.Done},
		{penumbra.WatchCloser, penumbra.Applying, penumbra.Done},
	} {
		w, b := newWorld(), &books{attentions: map[string]penumbra.Attention{}}
		m := w.machine()
		m.Attentions, m.Messenger = b, b
		p := advice(c.kind)
		run, _ := approved(p)
		run.State = c.at
		run, err := m.Recover(t.Context(), run, p)
		if err != nil || run.State != c.want || len(b.sent) != 0 || c.kind == penumbra.WatchCloser && len(b.attentions) != 1 {
			t.Errorf("%s at %s: %s (%s), %v; sent %d", c.kind, c.at, run.State, run.Outcome, err, len(b.sent))
		}
	}
}
