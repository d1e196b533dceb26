package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// longestLine bounds a line of an export in bytes.
const longestLine = 1 << 20

// Verify holds entries, in the order in which they come, against their chain and
// against heads that were kept. A log that begins behind its first entry, as an
// export of a part does, is checked from there on. It stops at the first fault,
// which the report names; the error is of reading alone.
func Verify(entries iter.Seq2[penumbra.AuditEntry, error], keys *Keyring, heads ...penumbra.AuditHead) (penumbra.AuditReport, error) {
	var r penumbra.AuditReport
	heads = slices.Clone(heads)
	slices.SortFunc(heads, func(a, b penumbra.AuditHead) int { return int(a.Sequence - b.Sequence) })
	kept := map[int64]string{}
	for _, h := range heads {
		if was, ok := kept[h.Sequence]; ok && was != h.Hash {
			r.Fault = &penumbra.AuditFault{Sequence: h.Sequence, What: "two kept heads have this number and different hashes: the log was written anew in between"}
		}
		if h.Sequence > 0 {
			kept[h.Sequence] = h.Hash
		}
	}
	r.Heads = len(kept)
	var before penumbra.AuditEntry
	for e, err := range entries {
		if err != nil {
			return r, err
		}
		if r.Entries == 0 && e.Sequence > 1 {
			before = penumbra.AuditEntry{Sequence: e.Sequence - 1, Hash: e.Previous}
		}
		what := broken(&before, &e, keys, r.Keyed > 0)
		if hash, ok := kept[e.Sequence]; ok && what == "" && hash != e.Hash {
			what = "it is not the entry that had this number when its hash was kept: entries were written anew"
		}
		if what != "" && r.Fault == nil {
			r.Fault = &penumbra.AuditFault{Sequence: before.Sequence + 1, What: what}
		}
		if r.Fault != nil {
			return r, nil
		}
		r.Entries++
		switch keys.check(&e) {
		case keyed:
			r.Keyed++
		case unchecked:
			r.Unchecked++
		}
		before = e
		r.Head = penumbra.AuditHead{Sequence: e.Sequence, Hash: e.Hash, Time: e.Time}
	}
	if r.Fault == nil {
		r.Fault = ending(&r, heads, keys, &before)
	}
	return r, nil
}

// broken says what is wrong with an entry behind another, "" if nothing is.
func broken(before, e *penumbra.AuditEntry, keys *Keyring, wasKeyed bool) string {
	switch {
	case e.Sequence > before.Sequence+1:
		return fmt.Sprintf("it is missing: behind entry %d comes %d", before.Sequence, e.Sequence)
	case e.Sequence != before.Sequence+1:
		return fmt.Sprintf("behind entry %d comes %d: entries were put elsewhere or doubled", before.Sequence, e.Sequence)
	case e.Previous != before.Hash:
		return "it does not have the hash of the entry before it: one of the two was changed, or some in between were taken out"
	case keys.check(e) == wrong:
		return "its content does not have its hash: it was changed"
	case wasKeyed && !isKeyed(e):
		return "its hash was made without the key that those before it were made with"
	}
	return ""
}

// ending says what is wrong behind the last entry.
func ending(r *penumbra.AuditReport, heads []penumbra.AuditHead, keys *Keyring, last *penumbra.AuditEntry) *penumbra.AuditFault {
	if n := len(heads); n > 0 && heads[n-1].Sequence > r.Head.Sequence {
		return &penumbra.AuditFault{Sequence: r.Head.Sequence + 1, What: fmt.Sprintf("it is missing, and so are all up to %d, whose hash was kept: the end was cut off", heads[n-1].Sequence)}
	}
	if keys != nil && r.Entries > 0 && !isKeyed(last) {
		return &penumbra.AuditFault{Sequence: last.Sequence, What: "its hash was made without the key: it was made by something else than Penumbra with its key"}
	}
	return nil
}

// ReadLines yields the entries of an export, JSON Lines. An error of kind Invalid
// names the line that cannot be read.
func ReadLines(r io.Reader, name string) iter.Seq2[penumbra.AuditEntry, error] {
	return func(yield func(penumbra.AuditEntry, error) bool) {
		lines := bufio.NewScanner(r)
		lines.Buffer(make([]byte, 0, 64<<10), longestLine)
		for n := 1; lines.Scan(); n++ {
			if len(strings.TrimSpace(lines.Text())) == 0 {
				continue
			}
			var e penumbra.AuditEntry
			if err := decodeEntry(lines.Bytes(), &e); err != nil {
				yield(e, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%s: line %d is no entry of an audit log", name, n), Remedy: "name a file that `penumbra audit export` wrote", Err: err})
				return
			}
			if !yield(e, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(penumbra.AuditEntry{}, &penumbra.Error{Kind: penumbra.Invalid, What: "read " + name, Err: err})
		}
	}
}

// decodeEntry reads one entry strictly: a field that no hash is over could say
// anything.
func decodeEntry(line []byte, e *penumbra.AuditEntry) error {
	dec := json.NewDecoder(strings.NewReader(string(line)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(e); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more behind it")
	}
	return nil
}

// ParseHead reads a head as [FormatHead] writes it.
func ParseHead(text string) (penumbra.AuditHead, error) {
	number, hash, ok := strings.Cut(strings.TrimSpace(text), ":")
	sequence, err := strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || sequence < 1 || !strings.HasPrefix(hash, plainHash) && !strings.HasPrefix(hash, keyedHash) {
		return penumbra.AuditHead{}, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%q is no head of an audit log", text), Remedy: "give what `penumbra audit head` printed"}
	}
	return penumbra.AuditHead{Sequence: sequence, Hash: hash}, nil
}

// FormatHead writes a head as one word.
func FormatHead(h penumbra.AuditHead) string { return fmt.Sprintf("%d:%s", h.Sequence, h.Hash) }
