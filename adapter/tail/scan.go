package tail

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fsnotify/fsnotify"

	"github.com/penumbra-iac/penumbra"
)

// candidate is a file that the paths name, or one beside a known file that it
// may have been renamed to.
type candidate struct {
	path   string
	info   fs.FileInfo
	beside bool // only as the continuation of a known file
}

// scan looks which files there are and which known file each of them is.
func (f *Follower) scan() {
	found := f.candidates()
	taken := map[*file]bool{}
	var unknown []candidate
	for _, c := range found {
		if k := f.byKey(c); k != nil && !taken[k] {
			taken[k] = true
			k.Path = c.path
			f.open(k)
			continue
		}
		unknown = append(unknown, c)
	}
	if len(unknown) > 0 {
		for _, k := range f.files {
			k.remember()
		}
	}
	for _, c := range unknown {
		f.adopt(c, taken)
	}
	f.forget(taken)
}

// byKey returns the known file that c is by its identity and its content.
func (f *Follower) byKey(c candidate) *file {
	for _, k := range f.files {
		if k.Key != keyOf(c.info) || k.Key == (key{}) {
			continue
		}
		if k.zipped() != strings.HasSuffix(c.path, ".gz") {
			// It was read as text before its writer gave it its name, or the other
			// way round: the position means nothing in what it is now.
			k.close()
			k.Key = key{}
			continue
		}
		if k.handle != nil || k.Offset == 0 || k.zipped() && c.info.Size() == k.Size && c.info.ModTime().Equal(k.Modified) {
			return k // an open file's content is compared when it is read
		}
		h, err := os.Open(c.path)
		if err != nil {
			f.report(c.path, err)
			return k
		}
		defer h.Close()
		if c.info.Size() >= k.Offset || k.zipped() {
			if k.continues(h, strings.HasSuffix(c.path, ".gz")) {
				return k
			}
		}
		k.Key = key{} // the number was given to another file
	}
	return nil
}

// adopt finds out what an unknown file is: a known one's copy or what became of
// it, otherwise a new one.
func (f *Follower) adopt(c candidate, taken map[*file]bool) {
	now := stamp{keyOf(c.info), c.info.Size(), c.info.ModTime(), len(f.files)}
	if c.beside && f.strange[c.path] == now {
		return
	}
	h, err := os.Open(c.path)
	if err != nil {
		f.report(c.path, err)
		return
	}
	zipped := strings.HasSuffix(c.path, ".gz")
	var of *file
	for _, k := range f.files {
		if (of == nil || k.Offset > of.Offset) && (zipped || c.info.Size() >= k.Offset) && k.continues(h, zipped) {
			of = k
		}
	}
	k := &file{Key: keyOf(c.info), Path: c.path, handle: h}
	switch {
	case of != nil:
		k.Name, k.Offset = of.Name, of.Offset
		k.remember()
	case c.beside:
		if len(f.strange) > maxGone {
			clear(f.strange)
		}
		f.strange[c.path] = now
		h.Close()
		return
	case f.first && f.cfg.From == End:
		f.skipToEnd(k, c.info.Size())
	}
	taken[k] = true
	f.files = append(f.files, k)
	f.dirty = f.dirty || k.Offset > 0
}

// skipToEnd leaves out what is there: all complete lines, or all there is of a
// compressed file.
func (f *Follower) skipToEnd(k *file, size int64) {
	if k.zipped() {
		if info, err := k.handle.Stat(); err == nil {
			k.Size, k.Modified = info.Size(), info.ModTime()
		}
		f.dirty = true
		return
	}
	at := max(0, size-int64(f.cfg.MaxLine))
	buf := make([]byte, size-at)
	n, _ := k.handle.ReadAt(buf, at)
	end := bytes.LastIndexByte(buf[:n], '\n')
	if end < 0 {
		return
	}
	k.Offset = at + int64(end) + 1
	first := k.bytes(0, int(min(1024, k.Offset)))
	if i := bytes.IndexByte(first, '\n'); i >= 0 {
		first = first[:i]
	}
	k.Name = nameOf(k.Path, first)
	k.remember()
}

func (f *Follower) open(k *file) {
	if k.handle != nil || k.zipped() && k.Size > 0 && sameSize(k) {
		return
	}
	h, err := os.Open(k.Path)
	if err != nil {
		f.report(k.Path, err)
		return
	}
	k.handle = h
	k.remember()
}

func sameSize(k *file) bool {
	info, err := os.Stat(k.Path)
	return err == nil && info.Size() == k.Size && info.ModTime().Equal(k.Modified)
}

// forget bounds what is open and what is remembered of files that are gone. A
// file that was removed is read to its end first: its handle is closed one scan
// after it was seen no more.
func (f *Follower) forget(alive map[*file]bool) {
	open, gone := 0, 0
	for i := len(f.files) - 1; i >= 0; i-- {
		k := f.files[i]
		if k.handle != nil {
			if open++; open > maxOpen && len(k.pending) == 0 && idle(k) {
				k.close()
			}
		}
		if alive[k] || k.handle != nil && !drained(k) {
			continue
		}
		if gone++; gone > maxGone || k.Offset == 0 && k.Size == 0 {
			k.close()
			f.files = slices.Delete(f.files, i, i+1)
			f.dirty = true
		} else if unlinked(k) {
			k.close()
		}
	}
}

func idle(k *file) bool {
	info, err := k.handle.Stat()
	return err == nil && info.Size() <= k.pos()
}

func drained(k *file) bool { return k.zipped() || idle(k) }

// unlinked reports whether no name leads to the file any more.
func unlinked(k *file) bool {
	if k.handle == nil {
		return false
	}
	info, err := k.handle.Stat()
	return err == nil && links(info) == 0
}

// candidates lists the files there are, the oldest change first.
func (f *Follower) candidates() []candidate {
	seen := map[string]bool{}
	var out []candidate
	add := func(path string, beside bool) {
		if seen[path] {
			return
		}
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return
		}
		seen[path] = true
		out = append(out, candidate{path, info, beside})
	}
	for _, path := range f.cfg.list(f.watch.add, f.report) {
		add(path, false)
	}
	bases := map[string]bool{}
	for _, k := range f.files {
		bases[k.Path] = true
	}
	for base := range bases {
		f.watch.add(filepath.Dir(base))
		names, _ := filepath.Glob(escape(base) + "*")
		for _, name := range names {
			add(name, true)
		}
	}
	slices.SortFunc(out, func(a, b candidate) int {
		return cmp.Or(a.info.ModTime().Compare(b.info.ModTime()), cmp.Compare(a.path, b.path))
	})
	return out
}

func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// list names the files of the configured paths, and tells folders to watch.
func (c *Config) list(watch func(string), report func(string, error)) []string {
	var out []string
	for _, p := range c.Paths {
		matches, _ := filepath.Glob(p)
		if dir := filepath.Dir(p); !strings.ContainsAny(dir, `*?[`) {
			watch(dir)
		}
		for _, m := range matches {
			info, err := os.Stat(m)
			if err != nil {
				continue // it went away just now
			}
			if !info.IsDir() {
				watch(filepath.Dir(m))
				out = append(out, m)
				continue
			}
			err = filepath.WalkDir(m, func(path string, d fs.DirEntry, err error) error {
				switch {
				case err != nil:
					if !os.IsNotExist(err) {
						report(path, err)
					}
				case d.IsDir():
					watch(path)
				case c.Include == "" || matched(c.Include, d.Name()):
					out = append(out, path)
				}
				return nil
			})
			if err != nil {
				report(m, err)
			}
		}
	}
	return out
}

func matched(pattern, name string) bool {
	ok, err := filepath.Match(pattern, name)
	return err == nil && ok
}

// saved is the form of a cursor.
type saved struct {
	Version int
	Files   []*file
}

func (f *Follower) load(ctx context.Context) error {
	f.files, f.first = nil, false
	var data []byte
	err := f.retry(ctx, func(ctx context.Context) (err error) {
		data, err = f.cfg.Cursors.Load(ctx, f.cfg.Name)
		return err
	})
	if err != nil {
		return ended(ctx, err)
	}
	if data == nil {
		f.first = true
		return nil
	}
	var s saved
	if err := json.Unmarshal(data, &s); err != nil || s.Version != 1 || slices.ContainsFunc(s.Files, func(k *file) bool { return k == nil || k.Offset < 0 }) {
		return &penumbra.Error{Kind: penumbra.Damaged, What: "input " + f.cfg.Name + ": its cursor cannot be read", Err: err,
			Remedy: "remove the cursor to read its files anew; lines have the same identity, so none counts twice"}
	}
	f.files = s.Files
	return nil
}

func (f *Follower) save(ctx context.Context) error {
	s := saved{Version: 1}
	for _, k := range f.files {
		if k.Offset > 0 || k.Size > 0 {
			k.remember()
			s.Files = append(s.Files, k)
		}
	}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := f.cfg.Cursors.Save(ctx, f.cfg.Name, data); err != nil {
		return err
	}
	f.dirty = false
	return nil
}

func (f *Follower) closeAll() {
	for _, k := range f.files {
		k.close()
	}
}

// watcher tells of changes at once; without it the polling finds them.
type watcher struct {
	w    *fsnotify.Watcher
	dirs map[string]bool
}

// maxFolders bounds the folders watched; the others are polled.
const maxFolders = 4096

func newWatcher() *watcher {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		w = nil // the system allows no more: polling does
	}
	return &watcher{w, map[string]bool{}}
}

func (w *watcher) add(dir string) {
	if w.w == nil || w.dirs[dir] || len(w.dirs) >= maxFolders {
		return
	}
	if w.w.Add(dir) == nil {
		w.dirs[dir] = true
	}
}

func (w *watcher) close() {
	if w.w != nil {
		w.w.Close()
	}
}
