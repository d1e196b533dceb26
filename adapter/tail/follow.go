// Package tail reads files that other programs write: what is new in them, and
// where was it read up to? [Follower.Lines] follows logs line by line through
// rotation, truncation and restarts; [Documents] takes each file of a folder
// once. Use it for every input that comes as files.
//
// It guarantees that each complete line is handed over at least once and in the
// order of its file, that a line read twice has the same ID both times, that a
// cursor is saved only after the lines before it were handled, and that memory
// is bounded by the files that are open and the longest line allowed. What it
// cannot see is lost: a line written and truncated away between two looks with
// no copy left beside the file.
package tail

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/fsnotify/fsnotify"

	"github.com/penumbra-iac/penumbra"
)

// Start is where reading begins in files that are there at the first start.
type Start uint8

// Where reading begins.
const (
	Beginning Start = iota
	End
)

// Defaults and bounds.
const (
	DefaultMaxLine = 1 << 20
	DefaultPoll    = time.Second
	maxBatch       = 2000
	maxBatchBytes  = 8 << 20
	maxOpen        = 256
	maxGone        = 1000
)

// Cursors keeps what an input has read up to. Load returns nil if nothing was
// saved under the name. When Save returns nil the cursor must be durable, or
// become so only after all that was handled before; a handler that returns
// before its lines are durable needs such a one. If that fails later, the
// context must end.
type Cursors interface {
	Load(ctx context.Context, name string) ([]byte, error)
	Save(ctx context.Context, name string, data []byte) error
}

// Config says what to follow.
type Config struct {
	Name    string   // the input's name, under which its cursor is kept
	Paths   []string // files, globs, or folders (read with all below them)
	Include string   // pattern of base names wanted below folders, "" for all
	From    Start
	MaxLine int           // bytes; 0 means DefaultMaxLine
	Poll    time.Duration // a look at least this often; 0 means DefaultPoll
	Cursors Cursors
	// Report is told of what is wrong with one file, which goes on without it:
	// no permission, broken gzip. May be nil.
	Report func(error)
	// Now is the clock, nil for the system's. It decides how long a document
	// has been left alone.
	Now func() time.Time
}

// Line is one complete line.
type Line struct {
	Text []byte // without its end; cut to MaxLine bytes if Oversize
	Path string // where it was read
	// ID is the same whenever the line is read again, from the file, from what
	// the file was renamed to, or from a copy of it, gzipped or not.
	ID       string
	Offset   int64 // of its first byte, in the text before compression
	Oversize bool  // longer than MaxLine: a bad line
}

// Follower follows files. One of its methods runs at a time.
type Follower struct {
	cfg   Config
	files []*file // known, alive or gone, the oldest first
	dirty bool    // positions that the saved cursor does not have
	first bool    // nothing was saved before and nothing was looked at yet
	watch *watcher
	told  map[string]bool
	// strange is what files beside known ones were when they were found to be
	// no continuation of any.
	strange map[string]stamp
}

// stamp changes when a file does, or when there are others to compare it with.
type stamp struct {
	key      key
	size     int64
	modified time.Time
	known    int
}

// New checks the configuration. Its error is of kind Invalid.
func New(cfg Config) (*Follower, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	return &Follower{cfg: cfg, told: map[string]bool{}, strange: map[string]stamp{}}, nil
}

func (c *Config) complete() error {
	invalid := func(what, remedy string) error {
		return &penumbra.Error{Kind: penumbra.Invalid, What: "input " + c.Name + ": " + what, Remedy: remedy}
	}
	switch {
	case c.Name == "":
		return invalid("has no name", "name it")
	case len(c.Paths) == 0:
		return invalid("no paths", "name files, globs or folders")
	case c.Cursors == nil:
		return invalid("nowhere to keep its cursor", "")
	case c.MaxLine < 0 || c.Poll < 0:
		return invalid("a limit is negative", "leave it out for the default")
	}
	for _, p := range append([]string{c.Include}, c.Paths...) {
		if _, err := filepath.Match(p, "x"); err != nil {
			return invalid("pattern "+p+" cannot be read", "see the patterns of a shell: * ? [a-z]")
		}
	}
	if c.MaxLine == 0 {
		c.MaxLine = DefaultMaxLine
	}
	if c.Poll == 0 {
		c.Poll = DefaultPoll
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Report == nil {
		c.Report = func(error) {}
	}
	return nil
}

// Lines follows the files until ctx ends, then returns nil. handle gets up to
// 2,000 lines at a time, at once when there is no more to read. While it runs
// nothing is read. If its error is of a kind that passes (Unavailable, Locked,
// Full) it is called again with the same lines; any other error ends Lines and
// is returned, and the lines come again at the next start.
func (f *Follower) Lines(ctx context.Context, handle func(ctx context.Context, batch []Line) error) error {
	if err := f.load(ctx); err != nil {
		return err
	}
	f.watch = newWatcher()
	defer f.watch.close()
	defer f.closeAll()
	poll := time.NewTicker(f.cfg.Poll)
	defer poll.Stop()
	look := true
	for ctx.Err() == nil {
		if look {
			f.scan()
			if f.dirty && f.first {
				// Where the end was is remembered before anything is read.
				if err := f.retry(ctx, f.save); err != nil {
					return ended(ctx, err)
				}
			}
			f.first = false
		}
		if err := f.drain(ctx, handle); err != nil {
			return ended(ctx, err)
		}
		look = f.wait(ctx, poll.C)
	}
	return nil
}

// ended tells an end that was asked for from a failure.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// drain hands over all that can be read now.
func (f *Follower) drain(ctx context.Context, handle func(context.Context, []Line) error) error {
	var batch []Line
	size := 0
	flush := func() error {
		if len(batch) > 0 {
			lines := batch
			if err := f.retry(ctx, func(ctx context.Context) error { return handle(ctx, lines) }); err != nil {
				return err
			}
		}
		batch, size = nil, 0
		if !f.dirty {
			return nil
		}
		return f.retry(ctx, f.save)
	}
	for i := 0; i < len(f.files); i++ {
		k := f.files[i]
		for k.readable() {
			size0 := k.Size
			lines, more, err := k.read(f.cfg.MaxLine, maxBatch-len(batch))
			if err != nil {
				f.report(k.Path, err)
			}
			for j := range lines {
				size += len(lines[j].Text)
			}
			batch = append(batch, lines...)
			f.dirty = f.dirty || len(lines) > 0 || k.Size != size0
			if len(batch) >= maxBatch || size >= maxBatchBytes {
				if err := flush(); err != nil {
					return err
				}
			}
			if !more {
				break
			}
		}
		if k.truncated {
			f.truncate(k)
			i = -1
		}
	}
	return flush()
}

// truncate gives what is now at k's place a life of its own; k waits for a copy
// of what it was.
func (f *Follower) truncate(k *file) {
	now := &file{Key: k.Key, Path: k.Path, handle: k.handle}
	k.handle, k.Key, k.truncated = nil, key{}, false
	k.close()
	k.remember() // from memory, the bytes are gone
	f.files = append(f.files, now)
	f.dirty = true
	f.scan() // finds the copy that was made of it, which goes first
	f.files = append(slices.DeleteFunc(f.files, func(x *file) bool { return x == now }), now)
}

func (f *Follower) report(path string, err error) {
	text := path + ": " + err.Error()
	if f.told[text] || len(f.told) > 1000 {
		return
	}
	f.told[text] = true
	f.cfg.Report(&penumbra.Error{Kind: penumbra.Unavailable, What: "input " + f.cfg.Name + ": read " + path, Err: err,
		Remedy: "its other files are read"})
}

// retry calls do until its error is of a kind that does not pass.
func (f *Follower) retry(ctx context.Context, do func(context.Context) error) error {
	return f.cfg.retry(ctx, do)
}

func (c *Config) retry(ctx context.Context, do func(context.Context) error) error {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = 50*time.Millisecond, 30*time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := do(ctx)
		if err == nil {
			return struct{}{}, nil
		}
		if k := penumbra.KindOf(err); k.Retry() || k == penumbra.Full {
			return struct{}{}, err
		}
		return struct{}{}, backoff.Permanent(err)
	}, backoff.WithBackOff(b), backoff.WithMaxElapsedTime(0))
	return err
}

// wait returns when there may be something to read; look is set if files may
// have come or gone.
func (f *Follower) wait(ctx context.Context, poll <-chan time.Time) (look bool) {
	var events chan fsnotify.Event
	var errs chan error
	if f.watch.w != nil {
		events, errs = f.watch.w.Events, f.watch.w.Errors
	}
	select {
	case <-ctx.Done():
	case <-poll:
		return true
	case <-errs:
		return true // events were lost
	case e := <-events:
		look = !e.Has(fsnotify.Write)
		for { // what else has gathered
			select {
			case e := <-events:
				look = look || !e.Has(fsnotify.Write)
				continue
			default:
			}
			return look || f.waitsForFile(e.Name)
		}
	}
	return false
}

// waitsForFile reports whether path is not followed yet: its first line may
// just have been completed.
func (f *Follower) waitsForFile(path string) bool {
	for _, k := range f.files {
		if k.Path == path && k.handle != nil && !k.zipped() {
			return false
		}
	}
	return true
}
