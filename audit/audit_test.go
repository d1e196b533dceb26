package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/audit"
)

// memory is a store that keeps entries in memory.
type memory struct {
	mu      sync.Mutex
	entries []penumbra.AuditEntry
	err     error
}

func (m *memory) AppendAudit(_ context.Context, next func(penumbra.AuditHead) ([]penumbra.AuditEntry, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	entries, err := next(m.head())
	if err == nil {
		m.entries = append(m.entries, entries...)
	}
	return err
}

func (m *memory) head() penumbra.AuditHead {
	if len(m.entries) == 0 {
		return penumbra.AuditHead{}
	}
	e := m.entries[len(m.entries)-1]
	return penumbra.AuditHead{Sequence: e.Sequence, Hash: e.Hash, Time: e.Time}
}

func (m *memory) AuditHead(context.Context) (penumbra.AuditHead, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.head(), nil
}

func (m *memory) AuditEntries(_ context.Context, q penumbra.AuditQuery) ([]penumbra.AuditEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []penumbra.AuditEntry
	for _, e := range m.entries {
		if e.Sequence > q.After && (q.Limit == 0 || len(out) < q.Limit) {
			out = append(out, e)
		}
	}
	return out, nil
}

const testKey = "a key that only this test has"

func keys(t testing.TB, text string) *audit.Keyring {
	t.Helper()
	k, err := audit.ReadKeys(text, "keys")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// written is a log of some entries.
func written(t testing.TB, k *audit.Keyring, n int) *memory {
	t.Helper()
	m := &memory{}
	at := time.Date(2026, 3, 14, 9, 41, 0, 123, time.UTC)
	l := audit.New(m, k, func() time.Time { at = at.Add(time.Second); return at }, nil)
	ctx := penumbra.WithPrincipal(t.Context(), &penumbra.Principal{ID: "user:alice", Name: "alice", Kind: penumbra.PersonPrincipal, Via: "password"})
	for i := range n {
		e := penumbra.AuditEntry{Act: "proposal.approve", Target: penumbra.Target{Stack: "shop", ID: fmt.Sprintf("p-%d", i)}, Details: map[string]string{"plan": "9c56", "drift": "d-1"}}
		if err := l.Record(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func each(entries []penumbra.AuditEntry) iter.Seq2[penumbra.AuditEntry, error] {
	return func(yield func(penumbra.AuditEntry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func verify(t testing.TB, entries []penumbra.AuditEntry, k *audit.Keyring, heads ...penumbra.AuditHead) penumbra.AuditReport {
	t.Helper()
	r, err := audit.Verify(each(entries), k, heads...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAnUntouchedLogHolds(t *testing.T) {
	t.Parallel()
	m := written(t, keys(t, testKey), 5)
	r := verify(t, m.entries, keys(t, testKey), m.head())
	if r.Fault != nil || r.Entries != 5 || r.Keyed != 5 || r.Heads != 1 || r.Head != m.head() {
		t.Errorf("%+v", r)
	}
	if e := m.entries[0]; e.Principal != "user:alice" || e.Name != "alice" || e.Via != "password" || e.Kind != penumbra.PersonPrincipal || e.Count != 1 || e.Outcome != penumbra.AuditDone {
		t.Errorf("entry %+v", e)
	}
	if r := verify(t, m.entries[2:], keys(t, testKey)); r.Fault != nil || r.Entries != 3 {
		t.Errorf("a part of it: %+v", r)
	}
	if r := verify(t, m.entries, nil); r.Fault != nil || r.Unchecked != 5 {
		t.Errorf("without the key: %+v", r)
	}
	if r := verify(t, nil, keys(t, testKey)); r.Fault != nil {
		t.Errorf("an empty one: %+v", r)
	}
}

func TestWhatWasDoneToALogIsNamed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		do    func([]penumbra.AuditEntry) []penumbra.AuditEntry
		first int64
		what  string
	}{
		"an edit":            {func(l []penumbra.AuditEntry) []penumbra.AuditEntry { l[2].Name = "mallory"; return l }, 3, "was changed"},
		"a detail":           {func(l []penumbra.AuditEntry) []penumbra.AuditEntry { l[4].Details["plan"] = "0000"; return l }, 5, "was changed"},
		"the time":           {func(l []penumbra.AuditEntry) []penumbra.AuditEntry { l[0].Time = l[0].Time.Add(1); return l }, 1, "was changed"},
		"an entry taken out": {func(l []penumbra.AuditEntry) []penumbra.AuditEntry { return slices.Delete(l, 2, 3) }, 3, "missing"},
		"the first taken out": {func(l []penumbra.AuditEntry) []penumbra.AuditEntry {
			l[1].Previous, l[1].Sequence = "", 1
			return l[1:]
		}, 1, "changed"},
		"two put the other way": {func(l []penumbra.AuditEntry) []penumbra.AuditEntry { l[1], l[2] = l[2], l[1]; return l }, 2, "missing"},
		"and renumbered": {func(l []penumbra.AuditEntry) []penumbra.AuditEntry {
			l[1], l[2] = l[2], l[1]
			l[1].Sequence, l[2].Sequence = 2, 3
			return l
		}, 2, "hash of the entry before"},
		"one doubled":       {func(l []penumbra.AuditEntry) []penumbra.AuditEntry { return slices.Insert(l, 2, l[1]) }, 3, "doubled"},
		"the end cut off":   {func(l []penumbra.AuditEntry) []penumbra.AuditEntry { return l[:3] }, 4, "the end was cut off"},
		"all of it":         {func([]penumbra.AuditEntry) []penumbra.AuditEntry { return nil }, 1, "the end was cut off"},
		"a hash of no form": {func(l []penumbra.AuditEntry) []penumbra.AuditEntry { l[4].Hash = "md5:1"; return l }, 5, "was changed"},
	} {
		for _, k := range []*audit.Keyring{nil, keys(t, testKey)} {
			m := written(t, k, 5)
			head := m.head()
			r := verify(t, test.do(m.entries), k, head)
			if r.Fault == nil || r.Fault.Sequence != test.first || !strings.Contains(r.Fault.What, test.what) {
				t.Errorf("%s, keyed %v: fault %+v, want one at %d that says %q", name, k != nil, r.Fault, test.first, test.what)
			}
		}
	}
}

// Whoever has the database and not the key can write a chain of their own, and it
// does not pass for Penumbra's.
func TestALogWrittenAnewWithoutTheKey(t *testing.T) {
	t.Parallel()
	m := written(t, keys(t, testKey), 5)
	head := m.head()
	k := keys(t, testKey)
	for name, forged := range map[string][]penumbra.AuditEntry{
		"without a key":    written(t, nil, 5).entries,
		"with another key": written(t, keys(t, "a key that somebody made up"), 5).entries,
	} {
		r := verify(t, forged, k)
		if name == "without a key" && r.Fault == nil || name == "with another key" && r.Unchecked != 5 {
			t.Errorf("%s: %+v", name, r)
		}
		if r := verify(t, forged, k, head); r.Fault == nil || r.Fault.Sequence != 5 {
			t.Errorf("%s, held against a head: %+v", name, r)
		}
	}
	// Behind entries that have the key, one without it.
	forged := slices.Clone(m.entries)
	plain := written(t, nil, 1).entries[0]
	plain.Sequence, plain.Previous = 6, forged[4].Hash
	r := verify(t, append(forged, plain), k)
	if r.Fault == nil || r.Fault.Sequence != 6 {
		t.Errorf("one behind the others: %+v", r)
	}
}

func TestKeysAreReplaced(t *testing.T) {
	t.Parallel()
	m := written(t, nil, 2)
	for _, text := range []string{testKey, "a newer key of the log\n# the one before\n" + testKey} {
		if err := audit.New(m, keys(t, text), time.Now, nil).Record(t.Context(), penumbra.AuditEntry{Act: "run.end"}); err != nil {
			t.Fatal(err)
		}
	}
	both := keys(t, "a newer key of the log\n\n"+testKey)
	if r := verify(t, m.entries, both, m.head()); r.Fault != nil || r.Keyed != 2 || r.Entries != 4 {
		t.Errorf("%+v", r)
	}
	for _, text := range []string{"", "short", "# nothing"} {
		if _, err := audit.ReadKeys(text, "audit.key"); penumbra.KindOf(err) != penumbra.Invalid || !strings.Contains(err.Error(), "audit.key") {
			t.Errorf("keys %q: %v", text, err)
		}
	}
}

// Any change of any single byte of an export is found, or leaves what it says as
// it was.
func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	m := written(t, keys(t, testKey), 4)
	var export bytes.Buffer
	for _, e := range m.entries {
		if err := json.NewEncoder(&export).Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	r, err := audit.Verify(audit.ReadLines(bytes.NewReader(export.Bytes()), "x"), keys(t, testKey), m.head())
	if err != nil || r.Fault != nil || r.Keyed != 4 {
		t.Fatalf("the export as it is: %+v, %v", r, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := bytes.Clone(export.Bytes())
		at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		text[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		r, err := audit.Verify(audit.ReadLines(bytes.NewReader(text), "x"), keys2(testKey), m.head())
		if err != nil || r.Fault != nil {
			return
		}
		i := 0
		for e, err := range audit.ReadLines(bytes.NewReader(text), "x") {
			if err != nil || !equal(e, m.entries[i]) {
				t.Fatalf("byte %d was changed, entry %d says %+v, and nothing is found", at, i+1, e)
			}
			i++
		}
	})
}

func keys2(text string) *audit.Keyring {
	k, _ := audit.ReadKeys(text, "keys")
	return k
}

func equal(a, b penumbra.AuditEntry) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

func TestLinesThatAreNoEntries(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"{", "{} {}", `{"sequence":1,"by":"x"}`, "[1]"} {
		_, err := audit.Verify(audit.ReadLines(strings.NewReader("\n"+text+"\n"), "log.jsonl"), nil)
		if penumbra.KindOf(err) != penumbra.Invalid || !strings.Contains(err.Error(), "log.jsonl: line 2") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestWhatIsRecordedIsBoundedAndRedacted(t *testing.T) {
	t.Parallel()
	m := &memory{}
	l := audit.New(m, nil, time.Now, nil)
	e := penumbra.AuditEntry{Act: "drift.accept", Target: penumbra.Target{ID: strings.Repeat("x", 1<<20)}, Details: map[string]string{
		"reason": "password=hunter2secret \xff", "empty": "",
	}}
	for i := range 1000 {
		e.Details[fmt.Sprintf("z%03d", i)] = strings.Repeat("é", 1<<12)
	}
	if err := l.Record(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(m.entries[0])
	if len(text) > 400<<10 || bytes.Contains(text, []byte("hunter2secret")) || !strings.Contains(m.entries[0].Details["reason"], "password") {
		t.Errorf("%d bytes: %.300s", len(text), text)
	}
	var back penumbra.AuditEntry
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if r := verify(t, []penumbra.AuditEntry{back}, nil); r.Fault != nil {
		t.Errorf("read back: %+v", r.Fault)
	}
}

func TestWhatCannotBeRecordedIsAnError(t *testing.T) {
	t.Parallel()
	m := &memory{err: &penumbra.Error{Kind: penumbra.Full, What: "no room"}}
	l := audit.New(m, nil, time.Now, nil)
	if err := l.Record(t.Context(), penumbra.AuditEntry{Act: "run.start"}); penumbra.KindOf(err) != penumbra.Full || !strings.Contains(err.Error(), "not done") {
		t.Errorf("%v", err)
	}
}

func TestFloodsAreCounted(t *testing.T) {
	t.Parallel()
	m := &memory{}
	now := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	l := audit.New(m, nil, func() time.Time { return now }, nil)
	refused := func(from string) {
		_ = l.Count(t.Context(), penumbra.AuditEntry{Act: "session.open", Outcome: penumbra.AuditRefused, Details: map[string]string{audit.FromDetail: from}})
	}
	flush := func() {
		t.Helper()
		if err := l.Flush(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	refused("192.0.2.1")
	flush()
	for range 100_000 {
		refused("192.0.2.1")
	}
	flush()
	if len(m.entries) != 1 {
		t.Fatalf("%d entries of a flood within its window, want 1", len(m.entries))
	}
	now = now.Add(10 * time.Minute)
	flush()
	if len(m.entries) != 2 || m.entries[1].Count != 100_000 {
		t.Fatalf("entries %+v", m.entries)
	}
	// From very many addresses.
	for i := range 50_000 {
		refused(fmt.Sprintf("2001:db8::%x", i))
	}
	now = now.Add(10 * time.Minute)
	flush()
	total := 0
	for _, e := range m.entries[2:] {
		total += e.Count
	}
	if n := len(m.entries) - 2; n > 1100 || total != 50_000 {
		t.Errorf("%d entries for %d refusals of 50000", n, total)
	}
	now = now.Add(10 * time.Minute)
	flush()
	refused("192.0.2.9")
	flush()
	if last := m.entries[len(m.entries)-1]; last.Details[audit.FromDetail] != "192.0.2.9" {
		t.Errorf("who comes after the flood is not told apart: %+v", last)
	}
	if r := verify(t, m.entries, nil); r.Fault != nil {
		t.Error(r.Fault)
	}
}

func TestReadsNameWhatWasRead(t *testing.T) {
	t.Parallel()
	m := &memory{}
	l := audit.New(m, nil, time.Now, nil)
	ctx := penumbra.WithPrincipal(t.Context(), &penumbra.Principal{ID: "user:alice", Name: "alice"})
	for i := range 250 {
		if err := l.Count(ctx, penumbra.AuditEntry{Act: "values.read", Target: penumbra.Target{Stack: "shop", ID: fmt.Sprintf("shop/vm.%03d", i)}, Outcome: penumbra.AuditDone}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Flush(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	e := m.entries[0]
	if len(m.entries) != 1 || e.Count != 250 || e.Name != "alice" || !strings.Contains(e.Details["on"], "shop/vm.000, ") || !strings.HasSuffix(e.Details["on"], "and more, 150 times") {
		t.Errorf("%+v", e)
	}
}

// A log that cannot be written loses no count, and says so to who reads on.
func TestCountsWaitForTheStore(t *testing.T) {
	t.Parallel()
	m := &memory{err: errors.New("no room")}
	l := audit.New(m, nil, time.Now, nil)
	count := func() error {
		return l.Count(t.Context(), penumbra.AuditEntry{Act: "values.read", Target: penumbra.Target{ID: "a"}, Outcome: penumbra.AuditDone})
	}
	if err := count(); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(t.Context(), false); err == nil {
		t.Fatal("no error")
	}
	if err := count(); err == nil {
		t.Error("a read goes on though the one before could not be recorded")
	}
	m.err = nil
	if err := l.Flush(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if err := count(); err != nil || m.entries[0].Count != 2 {
		t.Errorf("%v, %+v", err, m.entries)
	}
}

func TestRunWritesAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		l := audit.New(m, nil, time.Now, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- l.Run(ctx) }()
		_ = l.Count(ctx, penumbra.AuditEntry{Act: "values.read", Outcome: penumbra.AuditDone})
		time.Sleep(audit.FlushEvery + time.Millisecond)
		synctest.Wait()
		_ = l.Count(ctx, penumbra.AuditEntry{Act: "values.read", Outcome: penumbra.AuditDone})
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if len(m.entries) != 2 {
			t.Errorf("%d entries", len(m.entries))
		}
	})
}

func TestHeads(t *testing.T) {
	t.Parallel()
	m := written(t, keys(t, testKey), 3)
	l := audit.New(m, keys(t, testKey), time.Now, nil)
	file := audit.Heads(filepath.Join(t.TempDir(), "audit.heads"))
	if kept, err := file.Read(); err != nil || kept != nil {
		t.Fatalf("%v, %v", kept, err)
	}
	for range 2 {
		if err := l.Checkpoint(t.Context(), file); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := file.Read()
	if err != nil || len(kept) != 1 || kept[0].Hash != m.head().Hash || kept[0].Sequence != 3 {
		t.Fatalf("%v, %v", kept, err)
	}
	if r, err := l.VerifyAudit(t.Context(), kept); err != nil || r.Fault != nil {
		t.Errorf("%+v, %v", r, err)
	}
	m.entries = m.entries[:2]
	if r, err := l.VerifyAudit(t.Context(), kept); err != nil || r.Fault == nil || r.Fault.Sequence != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, text := range []string{"", "3", "0:sha256:1", "x:sha256:1", "3:md5:1"} {
		if _, err := audit.ParseHead(text); penumbra.KindOf(err) != penumbra.Invalid {
			t.Errorf("head %q: %v", text, err)
		}
	}
}

func TestConcurrentRecords(t *testing.T) {
	t.Parallel()
	m := &memory{}
	l := audit.New(m, keys(t, testKey), time.Now, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if err := l.Record(context.Background(), penumbra.AuditEntry{Act: "run.end"}); err != nil {
					t.Error(err)
				}
				_ = l.Count(context.Background(), penumbra.AuditEntry{Act: "values.read", Outcome: penumbra.AuditDone})
				if err := l.Flush(context.Background(), true); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if r := verify(t, m.entries, keys(t, testKey)); r.Fault != nil {
		t.Error(r.Fault)
	}
	reads := 0
	for _, e := range m.entries {
		if e.Act == "values.read" {
			reads += e.Count
		}
	}
	if reads != 400 {
		t.Errorf("%d reads are recorded, want 400", reads)
	}
}

func BenchmarkCount(b *testing.B) {
	l := audit.New(&memory{}, nil, time.Now, nil)
	ctx := penumbra.WithPrincipal(b.Context(), &penumbra.Principal{ID: "user:alice"})
	for b.Loop() {
		_ = l.Count(ctx, penumbra.AuditEntry{Act: "values.read", Target: penumbra.Target{Stack: "shop", ID: "shop/vm.a"}, Outcome: penumbra.AuditDone})
	}
}
