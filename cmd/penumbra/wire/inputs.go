package wire

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/auditd"
	"github.com/penumbra-iac/penumbra/adapter/cloudtrail"
	"github.com/penumbra-iac/penumbra/adapter/jsonlog"
	"github.com/penumbra-iac/penumbra/adapter/kubernetes"
	"github.com/penumbra-iac/penumbra/adapter/postgres"
	"github.com/penumbra-iac/penumbra/adapter/syslog"
	"github.com/penumbra-iac/penumbra/adapter/tail"
	"github.com/penumbra-iac/penumbra/adapter/textlog"
	"github.com/penumbra-iac/penumbra/anomaly"
	"github.com/penumbra-iac/penumbra/engine/inputs"
)

// inputConfig is a source of log records or of metrics.
type inputConfig struct {
	Name string `koanf:"name"`
	Kind string `koanf:"kind"`

	// Of logs in files: paths are files, globs or folders; from is beginning or
	// end, of what is there when they are first read.
	Paths   []string `koanf:"paths"`
	Include string   `koanf:"include"`
	From    string   `koanf:"from"`
	// Listen are addresses for syslog: tcp://, udp:// or unixgram://.
	Listen []string `koanf:"listen"`
	// Zone is the time zone of logs that do not name theirs.
	Zone string `koanf:"zone"`
	// Fields are the names of a JSON log's fields, by what they mean.
	Fields fieldsConfig `koanf:"fields"`

	// Resource is what all records and metrics are about; Stack decides between
	// resources that fit.
	Resource string `koanf:"resource"`
	Stack    string `koanf:"stack"`
	// Unmapped bounds what is kept of records that nobody knows the resource of.
	Unmapped unmappedConfig `koanf:"unmapped"`

	// Of a git repository, which is followed: see commits.go.
	Repository string            `koanf:"repository"`
	Branch     string            `koanf:"branch"`
	Since      string            `koanf:"since"`
	Bots       []string          `koanf:"bots"`
	Folders    map[string]string `koanf:"folders"`

	// Of Prometheus, which is queried, as a repository is: Every is how often.
	URL       string        `koanf:"url"`
	Every     time.Duration `koanf:"every"`
	TokenFile string        `koanf:"token_file"`
	Queries   []queryConfig `koanf:"queries"`
}

type fieldsConfig struct {
	Time     []string `koanf:"time"`
	Actor    []string `koanf:"actor"`
	Action   []string `koanf:"action"`
	Targets  []string `koanf:"targets"`
	Message  []string `koanf:"message"`
	ID       []string `koanf:"id"`
	Settings []string `koanf:"settings"`
	Failed   []string `koanf:"failed"`
}

// unmappedConfig is how many records are kept aside at most, and how old: the
// defaults if zero, any if negative.
type unmappedConfig struct {
	Records int64         `koanf:"records"`
	Age     time.Duration `koanf:"age"`
}

// What is kept aside of an input unless it says otherwise: some 300 MB.
const (
	unmappedRecords = 500_000
	unmappedAge     = 90 * 24 * time.Hour
)

func (u unmappedConfig) bound() inputs.AsideBound {
	return inputs.AsideBound{Records: max(0, cmp.Or(u.Records, unmappedRecords)), Age: max(0, cmp.Or(u.Age, unmappedAge))}
}

type queryConfig struct {
	Name    string   `koanf:"name"`
	Expr    string   `koanf:"expr"`
	Counter bool     `koanf:"counter"`
	Worse   string   `koanf:"worse"`
	By      []string `koanf:"by"`
}

var knownOfInput = keysOf[inputConfig]()

// The kinds of input.
var (
	fileKinds = []string{"postgresql", "cloudtrail", "kubernetes", "auditd", "syslog", "json", "text"}
	// httpKinds are sent to this daemon when they have neither paths nor listen.
	httpKinds = []string{"json", "kubernetes", "otlp", "remote-write"}
	// polledKinds are asked by this daemon.
	polledKinds = []string{"prometheus", gitInput}
)

// check returns what is wrong with an input and what to do about it, "" if
// nothing.
func (in *inputConfig) check() (what, remedy string) {
	kinds := slices.Concat(fileKinds, []string{"otlp", "remote-write"}, polledKinds)
	switch {
	case !penumbra.ValidStackName(in.Name):
		return fmt.Sprintf("has name %q", in.Name), "use letters, digits, '.', '_' and '-'"
	case !slices.Contains(kinds, in.Kind):
		return fmt.Sprintf("is of kind %q", in.Kind), "use one of " + strings.Join(kinds, ", ")
	case len(in.Paths) > 0 && !slices.Contains(fileKinds, in.Kind):
		return "has paths", "a " + in.Kind + " input is not read from files"
	case len(in.Listen) > 0 && in.Kind != "syslog":
		return "has listen", "only syslog has an address of its own; send others to the daemon's, see docs/inputs.md"
	case in.Kind == "prometheus" && (in.URL == "" || len(in.Queries) == 0):
		return "lacks url or queries", "name Prometheus' address and at least one query with name and expr"
	case len(in.Paths)+len(in.Listen) == 0 && !slices.Contains(httpKinds, in.Kind) && !slices.Contains(polledKinds, in.Kind):
		return "has no paths", "name the files, globs or folders of the log"
	case in.Kind == gitInput || in.Repository != "":
		return in.checkGit()
	case in.From != "" && in.From != "beginning" && in.From != "end":
		return fmt.Sprintf("starts from %q", in.From), "use beginning or end"
	case in.Zone != "" && !validZone(in.Zone):
		return fmt.Sprintf("has zone %q", in.Zone), "use a name such as UTC or Europe/Berlin"
	}
	return "", ""
}

func validZone(name string) bool {
	_, err := time.LoadLocation(name)
	return err == nil
}

func (in *inputConfig) zone() *time.Location {
	zone, err := time.LoadLocation(in.Zone)
	if err != nil {
		return time.UTC
	}
	return zone
}

// metricRules name what an input's own queries name.
func (in *inputConfig) metricRules() []anomaly.MetricRule {
	var out []anomaly.MetricRule
	for _, q := range in.Queries {
		out = append(out, anomaly.MetricRule{Input: in.Name, From: q.Name, Name: q.Name, Worse: q.Worse, By: q.By})
	}
	return out
}

// newInput joins what reads an input.
func newInput(c *Config, in inputConfig, key penumbra.Key, o Options) (inputs.Input, error) {
	out := inputs.Input{Name: in.Name, Kind: in.Kind, Aside: in.Unmapped.bound()}
	for i, p := range in.Paths {
		in.Paths[i] = c.path(p)
	}
	switch {
	case in.Kind == gitInput:
		out.Run = func(ctx context.Context, feed *inputs.Feed) error { return followCommits(ctx, c, in, key, o, feed) }
	case in.Kind == "prometheus":
		run, err := polled(c, in, o)
		out.Run = run
		return out, err
	case len(in.Listen) > 0:
		out.Run = func(ctx context.Context, feed *inputs.Feed) error { return receiveSyslog(ctx, in, o, feed) }
	case in.Kind == "cloudtrail":
		out.Run = func(ctx context.Context, feed *inputs.Feed) error { return readDocuments(ctx, in, key, o, feed) }
	case len(in.Paths) > 0:
		out.Run = func(ctx context.Context, feed *inputs.Feed) error { return followLines(ctx, in, key, o, feed) }
	}
	return out, nil
}

// lineParser turns lines into records.
type lineParser interface {
	Parse(line []byte) ([]penumbra.Record, error)
}

// flusher is a parser that may hold lines back for others; Flush returns what
// came of those for which none came.
type flusher interface {
	Flush(now time.Time) []penumbra.Record
}

// parser returns the parser of an input's lines, and for how long it may hold
// one back for the next.
func (in *inputConfig) parser(key penumbra.Key, now func() time.Time) (p lineParser, held time.Duration, err error) {
	switch in.Kind {
	case "postgresql":
		p, err := postgres.NewParser(postgres.ParserConfig{Input: in.Name, Server: in.Resource, Key: key, Location: in.zone()})
		return p, time.Second, err
	case "kubernetes":
		return kubernetes.New(key, in.Name), 0, nil
	case "auditd":
		return auditd.New(key, in.Name, remembered(userName, now)), 2 * auditd.Wait, nil
	case "syslog":
		return syslog.NewParser(in.Name, in.zone(), now), 0, nil
	case "text":
		return textlog.New(in.Name, in.zone(), now), 0, nil
	default:
		return jsonlog.NewParser(in.Name, in.Fields.fields(), key, now), 0, nil
	}
}

func (f fieldsConfig) fields() jsonlog.Fields {
	return jsonlog.Fields{Time: f.Time, Actor: f.Actor, Action: f.Action, Targets: f.Targets, Message: f.Message, ID: f.ID, Settings: f.Settings, Failed: f.Failed}
}

// userName returns the name of a user of this machine, "" if there is none.
func userName(uid string) string {
	u, err := user.LookupId(uid)
	if err != nil {
		return ""
	}
	return u.Username
}

// userKept is how long the name of a user is remembered: to ask for it costs
// more than all else that is done with a line.
const userKept = time.Minute

// remembered asks for each name once in a while. It is for one goroutine.
func remembered(ask func(string) string, now func() time.Time) func(string) string {
	names, since := map[string]string{}, now()
	return func(uid string) string {
		if t := now(); t.Sub(since) >= userKept || len(names) > 10_000 {
			clear(names)
			since = t
		}
		name, known := names[uid]
		if !known {
			name = ask(uid)
			names[uid] = name
		}
		return name
	}
}

// flushEvery is how often a parser is asked for what it holds back.
const flushEvery = 100 * time.Millisecond

// followLines follows an input's files line by line.
func followLines(ctx context.Context, in inputConfig, key penumbra.Key, o Options, feed *inputs.Feed) error {
	p, held, err := in.parser(key, time.Now)
	if err != nil {
		return err
	}
	queue, queueing := feed.Queue(ctx)
	f := &follower{parser: p, queue: queue, shift: o.Shift}
	cursors := &lateCursors{Cursors: queue, wait: held, between: f.between}
	err = f.follow(queueing, in.files(o, cursors), cursors)
	return cmp.Or(queue.Close(), err) // why it ended goes before that it did
}

// follow gives the lines of files to the follower's queue until ctx ends.
func (f *follower) follow(ctx context.Context, files tail.Config, cursors *lateCursors) error {
	t, err := tail.New(files)
	if err != nil {
		return err
	}
	following, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var flushing sync.WaitGroup
	defer flushing.Wait()
	defer cancel(nil)
	if cursors.wait > 0 {
		flushing.Go(func() { f.flush(following, cursors, cancel) })
	}
	err = t.Lines(following, f.lines)
	if cause := context.Cause(following); ctx.Err() == nil && cause != nil {
		return cause
	}
	return err
}

// files says which files to read, and from where.
func (in *inputConfig) files(o Options, cursors tail.Cursors) tail.Config {
	from := tail.Beginning
	if in.From == "end" {
		from = tail.End
	}
	return tail.Config{
		Name: in.Name, Paths: in.Paths, Include: in.Include, From: from, Cursors: cursors,
		Report: func(err error) {
			o.Log.Warn("a log file is left out", "input", in.Name, "error", penumbra.Redact(err.Error()))
		},
	}
}

// follower gives the records of lines to a queue.
type follower struct {
	queue *inputs.Queue
	shift func() time.Duration // of the clock, nil for none

	mu     sync.Mutex // a parser is one goroutine's at a time
	parser lineParser
}

func (f *follower) lines(ctx context.Context, batch []tail.Line) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	records := make([]penumbra.Record, 0, len(batch))
	var bad []penumbra.BadLine
	for i := range batch {
		line := &batch[i]
		if line.Oversize {
			bad = append(bad, penumbra.BadLine{Source: line.Path, Reason: fmt.Sprintf("at byte %d: longer than %d bytes", line.Offset, tail.DefaultMaxLine), Text: string(line.Text)})
			continue
		}
		found, err := f.parser.Parse(line.Text)
		if err != nil {
			bad = append(bad, penumbra.BadLine{Source: line.Path, Reason: fmt.Sprintf("at byte %d: %v", line.Offset, err), Text: string(line.Text)})
		}
		for j := range found {
			if found[j].ID == "" && found[j].Message+found[j].Action != "" {
				found[j].ID = line.ID + "/" + strconv.Itoa(j)
			}
		}
		records = append(records, found...)
	}
	return f.give(ctx, records, bad)
}

func (f *follower) give(ctx context.Context, records []penumbra.Record, bad []penumbra.BadLine) error {
	if f.shift != nil {
		for i := range records {
			records[i].Time = records[i].Time.Add(f.shift())
		}
	}
	return f.queue.Records(ctx, records, bad)
}

// holder is a parser that tells one thing by several lines: read on from the
// middle of them, the rest would be taken for something else.
type holder interface {
	Held() int // lines that wait for others
}

// between reports whether no line waits for another.
func (f *follower) between() bool {
	p, ok := f.parser.(holder)
	if !ok {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return p.Held() == 0
}

// flush asks the parser for what it holds back, until ctx ends.
func (f *follower) flush(ctx context.Context, cursors *lateCursors, fail context.CancelCauseFunc) {
	p, ok := f.parser.(flusher)
	if !ok {
		return
	}
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f.mu.Lock()
		records := p.Flush(time.Now())
		var err error
		if len(records) > 0 {
			err = f.give(ctx, records, nil)
		}
		f.mu.Unlock()
		if err == nil {
			err = cursors.settle(ctx)
		}
		if err != nil {
			fail(err) // the input is run again, from the cursor before
			return
		}
	}
}

// lateCursors save a cursor only when what a parser held back at the time has
// come out: after a crash those lines are read again. Of the places to read on
// from they choose one that is not between lines that belong together.
type lateCursors struct {
	tail.Cursors
	wait    time.Duration
	between func() bool // nothing is held back

	mu      sync.Mutex
	waiting []lateCursor
}

type lateCursor struct {
	name  string
	data  []byte
	at    time.Time
	clean bool // between what belongs together
}

const (
	// cursorEvery bounds how many cursors wait: one each so often is enough.
	cursorEvery = 100 * time.Millisecond
	// uncleanWait is for how many times the wait a clean cursor is hoped for, where
	// so much is logged that lines are held back all the time.
	uncleanWait = 10
)

func (c *lateCursors) Save(ctx context.Context, name string, data []byte) error {
	if c.wait == 0 {
		return c.Cursors.Save(ctx, name, data)
	}
	next := lateCursor{name, slices.Clone(data), time.Now(), c.between()}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.waiting)
	switch {
	case n < 2 || next.at.Sub(c.waiting[n-2].at) >= cursorEvery:
		c.waiting = append(c.waiting, next)
	case next.clean || !c.waiting[n-1].clean:
		c.waiting[n-1] = next
	}
	return nil
}

// settle saves the newest cursor that has waited long enough.
func (c *lateCursors) settle(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	due := -1
	for i := range c.waiting {
		waited := time.Since(c.waiting[i].at)
		if waited >= c.wait && (c.waiting[i].clean || waited >= uncleanWait*c.wait) {
			due = i
		}
	}
	if due < 0 {
		return nil
	}
	if err := c.Cursors.Save(ctx, c.waiting[due].name, c.waiting[due].data); err != nil {
		return err
	}
	c.waiting = slices.Delete(c.waiting, 0, due+1)
	return nil
}

// documentBatch is how many records of a document are made durable at once.
const documentBatch = 2000

// readDocuments reads the files of a folder each as a whole.
func readDocuments(ctx context.Context, in inputConfig, key penumbra.Key, o Options, feed *inputs.Feed) error {
	queue, queueing := feed.Queue(ctx)
	err := tail.Documents(queueing, in.files(o, queue), func(ctx context.Context, d tail.Document) error {
		file, err := os.Open(d.Path)
		if err != nil {
			return queue.Records(ctx, nil, []penumbra.BadLine{{Source: d.Path, Reason: err.Error()}})
		}
		defer file.Close()
		return decodeTrail(ctx, cloudtrail.NewDecoder(file, key, in.Name), filepath.Base(d.Path), queue)
	})
	return cmp.Or(queue.Close(), err)
}

// decodeTrail gives the events of a CloudTrail file to a queue. What cannot be
// read is kept aside and does not stop the rest.
func decodeTrail(ctx context.Context, d *cloudtrail.Decoder, name string, queue *inputs.Queue) error {
	var records []penumbra.Record
	var bad []penumbra.BadLine
	flush := func() error {
		err := queue.Records(ctx, records, bad)
		records, bad = nil, nil
		return err
	}
	for {
		rec, err := d.Next()
		var unreadable *cloudtrail.BadEvent
		switch {
		case errors.Is(err, io.EOF):
			return flush()
		case errors.As(err, &unreadable):
			bad = append(bad, penumbra.BadLine{Source: name, Line: unreadable.Number, Reason: unreadable.Reason})
		case err != nil:
			bad = append(bad, penumbra.BadLine{Source: name, Reason: err.Error()})
			return flush()
		default:
			records = append(records, rec)
		}
		if len(records) >= documentBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
}

func receiveSyslog(ctx context.Context, in inputConfig, o Options, feed *inputs.Feed) error {
	r := &syslog.Receiver{
		Input: in.Name, Zone: in.zone(), Now: o.Clock(),
		Sink: func(ctx context.Context, records []penumbra.Record) error { return feed.Records(ctx, records, nil) },
		Bad: func(from string, err error) {
			_ = feed.Records(ctx, nil, []penumbra.BadLine{{Source: in.Name + " from " + from, Reason: err.Error()}})
		},
	}
	l, err := r.Listen(in.Listen...)
	if err != nil {
		return err
	}
	return l.Serve(ctx)
}
