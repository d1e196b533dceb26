package guard

import (
	"context"
	"io"
	"slices"
	"strconv"

	"github.com/penumbra-iac/penumbra"
)

// Ingest implements [api.Carrier]. A timeline may be of any stack.
func (s *Service) Ingest(ctx context.Context, r io.Reader, source string) (penumbra.IngestReport, error) {
	if err := s.allow(ctx, "timeline.ingest", penumbra.Target{}); err != nil {
		return penumbra.IngestReport{}, err
	}
	if err := s.audit.Count(ctx, penumbra.AuditEntry{Act: "timeline.ingest", Target: penumbra.Target{ID: source}, Outcome: penumbra.AuditDone}); err != nil {
		return penumbra.IngestReport{}, err
	}
	return s.inner.Ingest(ctx, r, source)
}

// Export implements [api.Carrier]. Who may not see all names a stack or a resource.
func (s *Service) Export(ctx context.Context, q penumbra.ObservationQuery, w io.Writer) (n int, err error) {
	const act = penumbra.Act("timeline.export")
	t := penumbra.Target{Stack: q.Stack}
	if q.Resource != "" {
		if _, t, err = s.onResource(ctx, act, q.Resource); err != nil {
			return 0, err
		}
	} else if err := s.allow(ctx, act, t); err != nil {
		return 0, err
	}
	return n, s.do(ctx, act, t, nil, func() error {
		n, err = s.inner.Export(ctx, q, w)
		return err
	})
}

// Trigger implements [api.Carrier].
func (s *Service) Trigger(ctx context.Context, stack string) error {
	t := penumbra.Target{Stack: stack}
	if err := s.allow(ctx, "stack.refresh", t); err != nil {
		return err
	}
	if err := s.audit.Count(ctx, penumbra.AuditEntry{Act: "stack.refresh", Target: t, Outcome: penumbra.AuditDone}); err != nil {
		return err
	}
	return s.inner.Trigger(ctx, stack)
}

// Model implements [api.Modeller].
func (s *Service) Model(ctx context.Context) (penumbra.ModelStatus, error) {
	if err := s.Reach(ctx, "model.read"); err != nil {
		return penumbra.ModelStatus{}, err
	}
	return s.inner.Model(ctx)
}

// Versions implements [api.Modeller].
func (s *Service) Versions(ctx context.Context) ([]penumbra.ModelVersion, error) {
	if err := s.Reach(ctx, "model.read"); err != nil {
		return nil, err
	}
	return s.inner.Versions(ctx)
}

// AddVersion implements [api.Modeller].
func (s *Service) AddVersion(ctx context.Context, v penumbra.ModelVersion, body []byte) (penumbra.ModelVersion, error) {
	if err := s.allow(ctx, "model.change", penumbra.Target{}); err != nil {
		return penumbra.ModelVersion{}, err
	}
	return s.inner.AddVersion(ctx, v, body)
}

// Promote implements [api.Modeller].
func (s *Service) Promote(ctx context.Context, number int, _, forced string) (penumbra.ModelVersion, error) {
	if err := s.allow(ctx, "model.change", penumbra.Target{ID: strconv.Itoa(number)}); err != nil {
		return penumbra.ModelVersion{}, err
	}
	return s.inner.Promote(ctx, number, name(ctx), forced)
}

// RollbackModel implements [api.Modeller].
func (s *Service) RollbackModel(ctx context.Context, _ string) (penumbra.ModelVersion, error) {
	if err := s.allow(ctx, "model.change", penumbra.Target{}); err != nil {
		return penumbra.ModelVersion{}, err
	}
	return s.inner.RollbackModel(ctx, name(ctx))
}

// StartTask implements [api.Tasker]. Judging costs what training costs, so that both are
// for who may change the model.
func (s *Service) StartTask(ctx context.Context, n penumbra.NewModelTask) (t penumbra.ModelTask, err error) {
	if err := s.allow(ctx, "model.change", penumbra.Target{}); err != nil {
		return t, err
	}
	return t, s.do(ctx, "model.change", penumbra.Target{}, map[string]string{"task": string(n.Kind)}, func() error {
		t, err = s.inner.StartTask(ctx, n)
		return err
	})
}

// ModelTasks implements [api.Tasker]. The figures are of the whole estate, and for who may
// ask for them.
func (s *Service) ModelTasks(ctx context.Context) ([]penumbra.ModelTask, error) {
	if err := s.Reach(ctx, "model.read"); err != nil {
		return nil, err
	}
	list, err := s.inner.ModelTasks(ctx)
	if err != nil || s.May(ctx, "model.change", penumbra.Target{}) == nil {
		return list, err
	}
	out := slices.Clone(list)
	for i := range out {
		out[i].Figures = nil
	}
	return out, nil
}

// Moved implements [api.Mover].
func (s *Service) Moved(ctx context.Context, stack string) (found penumbra.Renames, err error) {
	t := penumbra.Target{Stack: stack}
	if err := s.allow(ctx, "stack.plan", t); err != nil {
		return found, err
	}
	err = s.do(ctx, "stack.plan", t, map[string]string{"what": "renames"}, func() error {
		found, err = s.inner.Moved(ctx, stack)
		return err
	})
	if err != nil {
		return penumbra.Renames{}, err
	}
	h, err := s.view(ctx).sees(stack, "", stack)
	if err != nil {
		return penumbra.Renames{}, err
	}
	return hide(h, found), nil
}

// StartRecording implements [api.Recorder]. A recording has the metrics of all.
func (s *Service) StartRecording(ctx context.Context) (string, error) {
	if err := s.allow(ctx, "metric.record", penumbra.Target{}); err != nil {
		return "", err
	}
	return s.inner.StartRecording(ctx)
}

// RecordedValues implements [api.Recorder].
func (s *Service) RecordedValues(ctx context.Context, recording string, after int64) (penumbra.RecordedValues, error) {
	if err := s.allow(ctx, "metric.record", penumbra.Target{}); err != nil {
		return penumbra.RecordedValues{}, err
	}
	return s.inner.RecordedValues(ctx, recording, after)
}

// EndRecording implements [api.Recorder].
func (s *Service) EndRecording(ctx context.Context, recording string) error {
	if err := s.allow(ctx, "metric.record", penumbra.Target{}); err != nil {
		return err
	}
	return s.inner.EndRecording(ctx, recording)
}

// auditing allows and records a look at the audit log.
func (s *Service) auditing(ctx context.Context, act penumbra.Act) error {
	if err := s.allow(ctx, act, penumbra.Target{}); err != nil {
		return err
	}
	return s.reads(ctx, act, penumbra.Target{})
}

// AuditEntries implements [api.Auditor].
func (s *Service) AuditEntries(ctx context.Context, q penumbra.AuditQuery) ([]penumbra.AuditEntry, error) {
	if err := s.auditing(ctx, "audit.read"); err != nil {
		return nil, err
	}
	return s.inner.AuditEntries(ctx, q)
}

// AuditHead implements [api.Auditor].
func (s *Service) AuditHead(ctx context.Context) (penumbra.AuditHead, error) {
	if err := s.allow(ctx, "audit.read", penumbra.Target{}); err != nil {
		return penumbra.AuditHead{}, err
	}
	return s.inner.AuditHead(ctx)
}

// VerifyAudit implements [api.Auditor].
func (s *Service) VerifyAudit(ctx context.Context, heads []penumbra.AuditHead) (penumbra.AuditReport, error) {
	if err := s.auditing(ctx, "audit.verify"); err != nil {
		return penumbra.AuditReport{}, err
	}
	return s.inner.VerifyAudit(ctx, heads)
}

// Accounts implements [api.Keeper].
func (s *Service) Accounts(ctx context.Context) ([]penumbra.Account, error) {
	if err := s.allow(ctx, "account.read", penumbra.Target{}); err != nil {
		return nil, err
	}
	return s.inner.Accounts(ctx)
}

// AddAccount implements [api.Keeper]. What becomes of accounts and tokens is recorded by
// the keeper itself.
func (s *Service) AddAccount(ctx context.Context, n penumbra.NewAccount) (a penumbra.Account, err error) {
	t := penumbra.Target{ID: n.Name}
	if err := s.allow(ctx, "account.change", t); err != nil {
		return a, err
	}
	return s.inner.AddAccount(ctx, n)
}

// Tokens implements [api.Issuer]: those of who asks, of everybody to an admin.
func (s *Service) Tokens(ctx context.Context) ([]penumbra.Token, error) {
	if err := s.Reach(ctx, "self.read"); err != nil {
		return nil, err
	}
	return s.inner.Tokens(ctx)
}

// RevokeToken implements [api.Issuer].
func (s *Service) RevokeToken(ctx context.Context, id string) (t penumbra.Token, err error) {
	if err := s.Reach(ctx, "self.change"); err != nil {
		return t, err
	}
	return s.inner.RevokeToken(ctx, id)
}

// ChangeAccount implements [api.Keeper]. People change their own passwords and sign out
// everywhere; the rest is for admins.
func (s *Service) ChangeAccount(ctx context.Context, account string, c penumbra.AccountChange) (a penumbra.Account, err error) {
	t := penumbra.Target{ID: account}
	p := penumbra.PrincipalOf(ctx)
	own := p != nil && (penumbra.FoldName(p.Name) == penumbra.FoldName(account) || p.ID == account)
	if own && c.Grants == nil && c.Disabled == nil {
		err = s.allow(ctx, "self.change", t)
	} else {
		err = s.allow(ctx, "account.change", t)
	}
	if err != nil {
		return a, err
	}
	return s.inner.ChangeAccount(ctx, account, c)
}

// AddToken implements [api.Issuer]. Whom a token may be made for is the keeper's to say.
func (s *Service) AddToken(ctx context.Context, n penumbra.NewToken) (made penumbra.MadeToken, err error) {
	t := penumbra.Target{ID: n.Name}
	if err := s.allow(ctx, "self.change", t); err != nil {
		return made, err
	}
	return s.inner.AddToken(ctx, n)
}

// SignIn implements [api.Greeter]: it is for everybody, and recorded by the keeper.
func (s *Service) SignIn(ctx context.Context, name, password, from string) (*penumbra.Principal, error) {
	return s.inner.SignIn(ctx, name, password, from)
}

// Channels implements [api.Notifier].
func (s *Service) Channels(ctx context.Context) ([]penumbra.ChannelStatus, error) {
	if err := s.allow(ctx, "notice.read", penumbra.Target{}); err != nil {
		return nil, err
	}
	return s.inner.Channels(ctx)
}

// Notices implements [api.Notifier]. They are of all stacks, and tell values, which only
// those see who may see all.
func (s *Service) Notices(ctx context.Context, q penumbra.NoticeQuery) ([]penumbra.Notice, error) {
	if err := s.auditing(ctx, "notice.read"); err != nil {
		return nil, err
	}
	list, err := s.inner.Notices(ctx, q)
	if err != nil {
		return nil, err
	}
	h, err := s.view(ctx).sees("", "", "notices")
	if err != nil {
		return nil, err
	}
	return hide(h, list), nil
}

// ResendNotice implements [api.Notifier].
func (s *Service) ResendNotice(ctx context.Context, id string) (n penumbra.Notice, err error) {
	t := penumbra.Target{ID: id}
	if err := s.allow(ctx, "notice.change", t); err != nil {
		return n, err
	}
	err = s.do(ctx, "notice.change", t, map[string]string{"what": "sent again"}, func() error {
		n, err = s.inner.ResendNotice(ctx, id)
		return err
	})
	if err != nil {
		return n, err
	}
	h, err := s.view(ctx).sees("", "", id)
	if err != nil {
		h = hiding{values: true, logs: true} // it is sent, and that is recorded
	}
	return hide(h, n), nil
}

// TestChannel implements [api.Notifier].
func (s *Service) TestChannel(ctx context.Context, channel, _ string) (n penumbra.Notice, err error) {
	t := penumbra.Target{ID: channel}
	if err := s.allow(ctx, "notice.change", t); err != nil {
		return n, err
	}
	return n, s.do(ctx, "notice.change", t, map[string]string{"what": "channel tried"}, func() error {
		n, err = s.inner.TestChannel(ctx, channel, name(ctx))
		return err
	})
}
