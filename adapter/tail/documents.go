package tail

import (
	"cmp"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// settle is how long a document must have been left alone to be complete.
const settle = 2 * time.Second

// documentsPerSave is how many documents at most come again after a kill.
const documentsPerSave = 64

// Document is one whole file.
type Document struct {
	Path     string
	ID       string // of its path, size and time of change
	Size     int64  // bytes
	Modified time.Time
}

// Documents hands each file that the paths name to handle once, in the order of
// the time of change and then of the name, until ctx ends. A file counts as
// complete when it was left alone for two seconds; one that changes later
// comes again with another ID. With From at End the files that are there at the
// first start are left out. Errors of handle are treated as in
// [Follower.Lines]. The cursor holds 8 bytes for each file that is there.
func Documents(ctx context.Context, cfg Config, handle func(ctx context.Context, d Document) error) error {
	if err := cfg.complete(); err != nil {
		return err
	}
	seen, first, err := loadSeen(ctx, &cfg)
	if err != nil {
		return ended(ctx, err)
	}
	poll := time.NewTicker(cfg.Poll)
	defer poll.Stop()
	for ctx.Err() == nil {
		docs := cfg.documents()
		if first && cfg.From == End {
			for _, d := range docs {
				seen[d.ID] = true
			}
			if err := cfg.retry(ctx, func(ctx context.Context) error { return saveSeen(ctx, &cfg, seen) }); err != nil {
				return ended(ctx, err)
			}
		}
		first = false
		if err := cfg.hand(ctx, docs, seen, handle); err != nil {
			return ended(ctx, err)
		}
		// Polled and not watched: what completes a document is that nothing
		// happens to it, and of that there is no event.
		select {
		case <-ctx.Done():
		case <-poll.C:
		}
	}
	return nil
}

func (c *Config) hand(ctx context.Context, docs []Document, seen map[string]bool, handle func(context.Context, Document) error) error {
	there := make(map[string]bool, len(docs))
	for _, d := range docs {
		there[d.ID] = true
	}
	unsaved := 0
	for id := range seen {
		if !there[id] {
			delete(seen, id)
			unsaved++
		}
	}
	save := func(ctx context.Context) error { return saveSeen(ctx, c, seen) }
	for _, d := range docs {
		if seen[d.ID] || c.Now().Sub(d.Modified) < settle {
			continue
		}
		if err := c.retry(ctx, func(ctx context.Context) error { return handle(ctx, d) }); err != nil {
			return err
		}
		seen[d.ID] = true
		if unsaved++; unsaved >= documentsPerSave {
			if err := c.retry(ctx, save); err != nil {
				return err
			}
			unsaved = 0
		}
	}
	if unsaved == 0 {
		return nil
	}
	return c.retry(ctx, save)
}

func (c *Config) documents() []Document {
	var out []Document
	report := func(path string, err error) {
		c.Report(&penumbra.Error{Kind: penumbra.Unavailable, What: "input " + c.Name + ": read " + path, Err: err})
	}
	for _, path := range c.list(func(string) {}, report) {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		d := Document{Path: path, Size: info.Size(), Modified: info.ModTime()}
		d.ID = nameOf("", []byte(path+"\x00"+d.Modified.UTC().Format(time.RFC3339Nano)+"\x00"+strconv.FormatInt(d.Size, 10)))
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b Document) int {
		return cmp.Or(a.Modified.Compare(b.Modified), cmp.Compare(a.Path, b.Path))
	})
	return slices.CompactFunc(out, func(a, b Document) bool { return a.Path == b.Path })
}

func loadSeen(ctx context.Context, c *Config) (seen map[string]bool, first bool, err error) {
	var data []byte
	err = c.retry(ctx, func(ctx context.Context) (err error) {
		data, err = c.Cursors.Load(ctx, c.Name)
		return err
	})
	seen = map[string]bool{}
	if err != nil || data == nil {
		return seen, true, err
	}
	var ids []string
	if err := json.Unmarshal(data, &ids); err != nil {
		return nil, false, &penumbra.Error{Kind: penumbra.Damaged, What: "input " + c.Name + ": its cursor cannot be read", Err: err,
			Remedy: "remove the cursor to read its files anew"}
	}
	for _, id := range ids {
		seen[id] = true
	}
	return seen, false, nil
}

func saveSeen(ctx context.Context, c *Config, seen map[string]bool) error {
	ids := make([]string, 0, len(seen))
	for id := range seen {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	data, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	return c.Cursors.Save(ctx, c.Name, data)
}
