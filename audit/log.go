package audit

import (
	"context"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// A Store keeps entries and never changes or deletes one.
type Store interface {
	// AppendAudit stores the entries that next returns for the head of now, all or
	// none, with the durability of a decision. Nobody appends in between, of another
	// process neither.
	AppendAudit(ctx context.Context, next func(head penumbra.AuditHead) ([]penumbra.AuditEntry, error)) error
	// AuditEntries returns the selected entries in the order that the query asks for.
	AuditEntries(ctx context.Context, q penumbra.AuditQuery) ([]penumbra.AuditEntry, error)
	// AuditHead returns the last entry's, zero of an empty log.
	AuditHead(ctx context.Context) (penumbra.AuditHead, error)
}

// Log is an audit log that is written. It is safe for concurrent use.
type Log struct {
	store Store
	keys  *Keyring
	now   func() time.Time
	log   *slog.Logger

	mu      sync.Mutex
	tallies map[tallyKey]*tally
	failed  error // why the counts could not be written last, nil if they could
	flushes sync.Mutex
}

// New returns a log in a store. keys nil hashes without a key.
func New(store Store, keys *Keyring, now func() time.Time, log *slog.Logger) *Log {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Log{store: store, keys: keys, now: now, log: log, tallies: map[tallyKey]*tally{}}
}

// What bounds an entry: who fills in a form must not fill the disk.
const (
	mostDetails = 64
	mostText    = 4 << 10 // bytes of one text
)

// Record writes an entry: who, unless it says so itself, is the principal of ctx.
// Time, Sequence and hashes are given here, details are redacted. Once it has
// returned without an error the entry is on disk; what it is about is not to be
// done otherwise.
func (l *Log) Record(ctx context.Context, e penumbra.AuditEntry) error {
	attribute(ctx, &e)
	// Whoever hangs up must not keep what they did out of the log.
	return l.append(context.WithoutCancel(ctx), []penumbra.AuditEntry{e})
}

func (l *Log) append(ctx context.Context, entries []penumbra.AuditEntry) error {
	err := l.store.AppendAudit(ctx, func(head penumbra.AuditHead) ([]penumbra.AuditEntry, error) {
		out := make([]penumbra.AuditEntry, len(entries))
		for i, e := range entries {
			if e.Time.IsZero() {
				e.Time = l.now()
			}
			tidy(&e)
			e.Sequence, e.Previous = head.Sequence+1, head.Hash
			e.Hash = l.keys.seal(&e)
			head = penumbra.AuditHead{Sequence: e.Sequence, Hash: e.Hash, Time: e.Time}
			out[i] = e
		}
		return out, nil
	})
	if err == nil {
		return nil
	}
	kind := penumbra.KindOf(err)
	return &penumbra.Error{Kind: kind, What: "write " + string(entries[0].Act) + " to the audit log: what cannot be recorded is not done", Err: err}
}

// attribute fills in who acts, from the context.
func attribute(ctx context.Context, e *penumbra.AuditEntry) {
	if p := penumbra.PrincipalOf(ctx); p != nil && e.Principal == "" && e.Name == "" {
		e.Principal, e.Name, e.Kind, e.Via = p.ID, p.Name, p.Kind, p.Via
	}
}

// tidy makes an entry one that reads back as it was written, and keeps secrets and
// floods out.
func tidy(e *penumbra.AuditEntry) {
	e.Time = e.Time.UTC().Round(0)
	if e.Count < 1 {
		e.Count = 1
	}
	if e.Outcome == "" {
		e.Outcome = penumbra.AuditDone
	}
	for _, s := range []*string{&e.Principal, &e.Name, &e.Via, &e.Target.Stack, &e.Target.Environment, &e.Target.Type, &e.Target.ID} {
		*s = cut(*s)
	}
	var details map[string]string
	for _, key := range slices.Sorted(maps.Keys(e.Details)) {
		value := e.Details[key]
		if value == "" || len(details) == mostDetails {
			continue
		}
		if details == nil {
			details = make(map[string]string, len(e.Details))
		}
		details[cut(key)] = cut(penumbra.Redact(value))
	}
	e.Details = details
}

// cut bounds a text and makes it what JSON gives back as it was.
func cut(s string) string {
	if len(s) > mostText {
		s = s[:mostText] + "…"
	}
	return strings.ToValidUTF8(s, "�")
}

// AuditEntries returns the selected entries.
func (l *Log) AuditEntries(ctx context.Context, q penumbra.AuditQuery) ([]penumbra.AuditEntry, error) {
	return l.store.AuditEntries(ctx, q)
}

// AuditHead returns the head of now.
func (l *Log) AuditHead(ctx context.Context) (penumbra.AuditHead, error) {
	return l.store.AuditHead(ctx)
}

// VerifyAudit holds the whole log against its chain and against heads that were
// kept.
func (l *Log) VerifyAudit(ctx context.Context, heads []penumbra.AuditHead) (penumbra.AuditReport, error) {
	return Verify(All(ctx, l.store, penumbra.AuditQuery{}), l.keys, heads...)
}

// page is how many entries are read at once.
const page = 1000

// Entries is what [All] reads from: a store, or a client of one.
type Entries interface {
	AuditEntries(ctx context.Context, q penumbra.AuditQuery) ([]penumbra.AuditEntry, error)
}

// All yields the entries that a query selects, the oldest first, page by page.
func All(ctx context.Context, from Entries, q penumbra.AuditQuery) iter.Seq2[penumbra.AuditEntry, error] {
	return func(yield func(penumbra.AuditEntry, error) bool) {
		left := q.Limit
		q.Latest = false
		for {
			q.Limit = page
			if left > 0 {
				q.Limit = min(page, left)
			}
			entries, err := from.AuditEntries(ctx, q)
			if err != nil {
				yield(penumbra.AuditEntry{}, err)
				return
			}
			for _, e := range entries {
				if !yield(e, nil) {
					return
				}
				q.After = e.Sequence
			}
			if left > 0 {
				if left -= len(entries); left == 0 {
					return
				}
			}
			if len(entries) < q.Limit {
				return
			}
		}
	}
}
