package beam

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/log"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/store/postgres"
	"github.com/penumbra-iac/penumbra/timeline"
)

func init() {
	register.DoFn4x1[context.Context, string, func(string, []byte), func(int, []byte), error](&readFn{})
	register.Emitter2[string, []byte]()
	register.Iter1[[]byte]()
}

// The counters of a job.
var (
	linesRead = beam.NewCounter("penumbra", counterLines)
	linesBad  = beam.NewCounter("penumbra", counterBad)
)

const (
	counterLines = "observations"
	counterBad   = "lines left out"
)

// readFn reads a timeline file, or a stack of a database. It emits each observation as a line of the
// timeline format, under the address of its resource or, by family, under what
// the addresses of its copies in other environments have in common; and what it
// cannot read. Single values of metrics are left out: models learn of means.
type readFn struct {
	Key      penumbra.Key // of the hashes of sensitive values
	ByFamily bool
}

// ProcessElement reads one of them.
func (f *readFn) ProcessElement(ctx context.Context, name string, emit func(string, []byte), keep func(int, []byte)) error {
	take := func(o *penumbra.Observation) error {
		if o.Kind == penumbra.MetricKind && o.Source == penumbra.LiveSource {
			return nil
		}
		var line bytes.Buffer
		if err := timeline.NewEncoder(&line).Encode(o); err != nil {
			return err
		}
		linesRead.Inc(ctx, 1)
		key := string(o.Resource)
		if f.ByFamily {
			key = shadow.Family(o.Resource)
		}
		emit(key, line.Bytes())
		return nil
	}
	if postgres.IsURL(name) {
		return eachStored(ctx, name, take)
	}
	return eachObservation(name, f.Key, func(bad *timeline.LineError) error {
		linesBad.Inc(ctx, 1)
		log.Warnf(ctx, "%s: line %d: %s", filepath.Base(name), bad.Line, penumbra.Redact(bad.Reason))
		line, err := leftOut(name, bad)
		keep(0, line)
		return err
	}, take)
}

// leftOut is what is kept of a line that could not be read: where it is and why,
// and nothing that it says.
func leftOut(name string, bad *timeline.LineError) ([]byte, error) {
	line, err := json.Marshal(struct {
		File   string `json:"file"`
		Line   int    `json:"line"`
		Reason string `json:"reason"`
	}{name, bad.Line, penumbra.Redact(bad.Reason)})
	return append(line, '\n'), err
}

// asideOf names the file for lines that cannot be read beside what is written.
func asideOf(out string) string { return out + ".left-out.jsonl" }

// eachObservation visits what a timeline file says, sensitive values sealed.
func eachObservation(name string, key penumbra.Key, bad func(*timeline.LineError) error, visit func(*penumbra.Observation) error) error {
	file, err := os.Open(name)
	if err != nil {
		return &penumbra.Error{Kind: penumbra.Missing, What: "read a timeline", Remedy: "name a file that every worker can read", Err: err}
	}
	defer file.Close()
	d, err := decoderOf(file)
	if err != nil {
		return err
	}
	for {
		o, err := d.Next()
		var line *timeline.LineError
		var damaged *damagedFile
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &line):
			if err := bad(line); err != nil {
				return err
			}
			continue
		case errors.As(err, &damaged):
			return damagedParquet(filepath.Base(name), damaged)
		case err != nil:
			return err
		}
		key.SealSettings(o.Settings)
		key.SealSettings(o.Applied)
		if err := visit(&o); err != nil {
			return err
		}
	}
}

// newKey draws the key of one job: hashes of two jobs cannot be compared. What is
// sealed in the files already stays as it is.
func newKey() penumbra.Key {
	key := make(penumbra.Key, 32)
	_, _ = rand.Read(key) // never fails
	return key
}

// history reads lines back, as one history in the order of time.
func history(lines func(*[]byte) bool) ([]penumbra.Observation, error) {
	var all []penumbra.Observation
	var line []byte
	for lines(&line) {
		o, err := timeline.NewDecoder(bytes.NewReader(line), "").Next()
		if err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return timeline.Order(all), nil
}

// observations are those of files, by the key that fn gives them. Lines that cannot
// be read are kept in the file aside, unless that is "".
func observations(s beam.Scope, files []string, fn *readFn, aside string) beam.PCollection {
	s = s.Scope("read timelines")
	names := beam.Reshuffle(s, beam.CreateList(s, files))
	read, bad := beam.ParDo2(s, fn, names)
	if aside != "" {
		beam.ParDo0(s.Scope("keep aside"), &keepFn{aside}, beam.GroupByKey(s, bad))
	}
	return read
}
