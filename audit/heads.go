package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// KeepEvery is how often a daemon keeps the head of its log.
const KeepEvery = 10 * time.Minute

// keptHeads is how many lines a file of heads keeps.
const keptHeads = 1000

// Heads is a file of heads, a line each, the last the newest. Put on another disk
// or another machine, it shows what the database's own owner took away.
type Heads string

// Read returns the heads, none if there is no file yet. An error of kind Invalid
// names the line that is none.
func (h Heads) Read() ([]penumbra.AuditHead, error) {
	text, err := os.ReadFile(string(h))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read the kept heads of the audit log in " + string(h), Err: err}
	}
	var out []penumbra.AuditHead
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		head, err := ParseHead(lines.Text())
		if err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "read the kept heads of the audit log in " + string(h), Err: err}
		}
		out = append(out, head)
	}
	return out, lines.Err()
}

// Keep adds a head, unless it is the last one already.
func (h Heads) Keep(head penumbra.AuditHead) error {
	if head.Sequence == 0 {
		return nil
	}
	kept, err := h.Read()
	if err != nil {
		return err
	}
	if n := len(kept); n > 0 && kept[n-1].Sequence == head.Sequence && kept[n-1].Hash == head.Hash {
		return nil
	}
	kept = append(kept, head)
	kept = slices.Clone(kept[max(0, len(kept)-keptHeads):])
	var b strings.Builder
	for _, k := range kept {
		b.WriteString(FormatHead(k) + "\n")
	}
	temporary := string(h) + ".new"
	if err := os.WriteFile(temporary, []byte(b.String()), 0o600); err != nil {
		return &penumbra.Error{Kind: penumbra.Refused, What: "keep the head of the audit log in " + string(h), Remedy: "correct `audit.heads` in penumbra.yaml, or make its folder writable", Err: err}
	}
	return os.Rename(temporary, string(h))
}

// Checkpoint keeps the head of now, after what was counted is written.
func (l *Log) Checkpoint(ctx context.Context, h Heads) error {
	if err := l.Flush(ctx, true); err != nil {
		return err
	}
	head, err := l.AuditHead(ctx)
	if err != nil {
		return err
	}
	return h.Keep(head)
}

// KeepHeads keeps the head now and then until ctx ends, and once more then.
func (l *Log) KeepHeads(ctx context.Context, h Heads) error {
	tick := time.NewTicker(KeepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.Checkpoint(context.WithoutCancel(ctx), h)
		case <-tick.C:
			if err := l.Checkpoint(ctx, h); err != nil && ctx.Err() == nil {
				l.log.Error("the head of the audit log was not kept; whether its end was cut off cannot be told", "error", err)
			}
		}
	}
}
