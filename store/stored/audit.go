package stored

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// AuditBodies returns entries of the audit log as they are stored. The error is of
// kind Invalid if they do not stand one behind the other, behind the head.
func AuditBodies(head penumbra.AuditHead, entries []penumbra.AuditEntry) ([]string, error) {
	out := make([]string, len(entries))
	for i := range entries {
		e := &entries[i]
		if e.Sequence != head.Sequence+1 || e.Previous != head.Hash {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("append entry %d to the audit log: it does not stand behind entry %d", e.Sequence, head.Sequence)}
		}
		body, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		out[i], head = string(body), AuditHead(e)
	}
	return out, nil
}

// AuditHead is the head of a log that ends with an entry.
func AuditHead(e *penumbra.AuditEntry) penumbra.AuditHead {
	return penumbra.AuditHead{Sequence: e.Sequence, Hash: e.Hash, Time: e.Time}
}

// AuditEntry reads an entry back. One that somebody has made unreadable comes
// without content, so that its hash is not its own: verification names it.
func AuditEntry(sequence int64, body string) penumbra.AuditEntry {
	var e penumbra.AuditEntry
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		e = penumbra.AuditEntry{}
	}
	e.Sequence = sequence
	return e
}

// AuditTime writes a time as a store finds entries by: without the Z, texts are in
// the order of the times.
func AuditTime(t time.Time) string {
	return strings.TrimSuffix(t.UTC().Format(time.RFC3339Nano), "Z")
}
