package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penumbra-iac/penumbra"
)

type entryList struct {
	Entries []penumbra.AuditEntry `json:"entries"`
}

// mostEntries bounds a page of the audit log.
const mostEntries = 1000

type entryQuery struct {
	Principal string    `query:"principal" doc:"Only acts of whoever has this identifier or name." example:"user:alice"`
	Act       string    `query:"act" doc:"Only this act; with * at its end, all that begin so." example:"proposal.*"`
	Outcome   string    `query:"outcome" enum:"done,refused,failed" doc:"Only acts that ended so."`
	Stack     string    `query:"stack" doc:"Only acts on this stack." example:"shop"`
	ID        string    `query:"id" doc:"Only acts on what has this identifier: a drift, a proposal, a run." example:"p-7f3a"`
	From      time.Time `query:"from" doc:"Only what was done then or later." example:"2026-03-01T00:00:00Z"`
	To        time.Time `query:"to" doc:"Only what was done before."`
	After     int64     `query:"after" minimum:"0" doc:"Only entries with a greater number."`
	Before    int64     `query:"before" minimum:"0" doc:"Only entries with a smaller number."`
	Limit     int       `query:"limit" minimum:"0" maximum:"1000" doc:"At most so many, 1000 without it. For more, ask on after the last one." example:"50"`
	Latest    bool      `query:"latest" doc:"The last ones, the newest first, rather than the first ones."`
}

type headList struct {
	Body struct {
		Heads []penumbra.AuditHead `json:"heads,omitempty" nullable:"false" doc:"Heads that were kept: the log must still have them."`
	}
}

func addAuditing(a huma.API, s Auditor) {
	answer(a, route{http.MethodGet, "/v1/audit", "list-audit", "audit",
		"The audit log", "Who did what to what, and what became of it. Each entry has the hash of the one before it.",
		entryList{[]penumbra.AuditEntry{exampleEntry()}},
	}, func(ctx context.Context, in *entryQuery) (entryList, error) {
		q := penumbra.AuditQuery{
			Principal: in.Principal, Act: penumbra.Act(in.Act), Outcome: penumbra.AuditOutcome(in.Outcome), Stack: in.Stack, ID: in.ID,
			From: in.From, To: in.To, After: in.After, Before: in.Before, Limit: in.Limit, Latest: in.Latest,
		}
		if q.Limit == 0 {
			q.Limit = mostEntries
		}
		entries, err := s.AuditEntries(ctx, q)
		return entryList{orEmpty(entries)}, err
	})
	answer(a, route{http.MethodGet, "/v1/audit/head", "get-audit-head", "audit",
		"The head of the audit log", "Number and hash of the last entry. Kept elsewhere, it shows whether the log was cut off or written anew since.",
		exampleHead(),
	}, func(ctx context.Context, _ *none) (penumbra.AuditHead, error) {
		return s.AuditHead(ctx)
	})
	answer(a, route{http.MethodPost, "/v1/audit/verify", "verify-audit", "audit",
		"Verify the audit log", "Holds the whole log against its chain of hashes with the daemon's key, and against the heads given. The first fault is named.",
		penumbra.AuditReport{Entries: 4711, Keyed: 4711, Head: exampleHead()},
	}, func(ctx context.Context, in *headList) (penumbra.AuditReport, error) {
		return s.VerifyAudit(ctx, in.Body.Heads)
	})
}

func exampleHead() penumbra.AuditHead {
	e := exampleEntry()
	return penumbra.AuditHead{Sequence: e.Sequence, Hash: e.Hash, Time: e.Time}
}

func exampleEntry() penumbra.AuditEntry {
	return penumbra.AuditEntry{
		Sequence: 4711, Time: time.Date(2026, 3, 14, 9, 41, 0, 0, time.UTC),
		Principal: "user:alice", Name: "alice", Kind: penumbra.PersonPrincipal, Via: "password",
		Act: "proposal.approve", Target: penumbra.Target{Stack: "shop", ID: "p-7f3a"}, Outcome: penumbra.AuditDone, Count: 1,
		Details:  map[string]string{"drift": "d-4c1e", "plan": "9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab"},
		Previous: "hmac-sha256:5f0c11aa:0d2f8bfa8e6dd4c4e7e3b0d7c4f6a5b6a7c8d9e0f1a2b3c4d5e6f708192a3b4c",
		Hash:     "hmac-sha256:5f0c11aa:7b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e",
	}
}

// AuditEntries implements [Auditor].
func (c *Client) AuditEntries(ctx context.Context, q penumbra.AuditQuery) ([]penumbra.AuditEntry, error) {
	p := params{}.text("principal", q.Principal).text("act", string(q.Act)).text("outcome", string(q.Outcome)).text("stack", q.Stack).text("id", q.ID).
		time("from", q.From).time("to", q.To).number("after", q.After).number("before", q.Before).number("limit", int64(q.Limit)).flag("latest", q.Latest)
	var list entryList
	err := c.get(ctx, "/v1/audit", p, &list)
	return list.Entries, err
}

// AuditHead implements [Auditor].
func (c *Client) AuditHead(ctx context.Context) (penumbra.AuditHead, error) {
	var head penumbra.AuditHead
	return head, c.get(ctx, "/v1/audit/head", nil, &head)
}

// VerifyAudit implements [Auditor].
func (c *Client) VerifyAudit(ctx context.Context, heads []penumbra.AuditHead) (penumbra.AuditReport, error) {
	var in headList
	in.Body.Heads = heads
	var report penumbra.AuditReport
	return report, c.call(ctx, http.MethodPost, "/v1/audit/verify", in.Body, &report)
}
