package beam

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/log"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow"
	"github.com/penumbra-iac/penumbra/timeline"
)

func init() {
	register.DoFn3x1[context.Context, string, func(string, []byte), error](&readFn{})
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

// readFn reads a timeline file. It emits each observation as a line of the
// timeline format, under the address of its resource or, by family, under what
// the addresses of its copies in other environments have in common.
type readFn struct {
	Key      penumbra.Key // of the hashes of sensitive values
	ByFamily bool
}

// ProcessElement reads one file.
func (f *readFn) ProcessElement(ctx context.Context, name string, emit func(string, []byte)) error {
	return eachObservation(name, f.Key, func(bad *timeline.LineError) {
		linesBad.Inc(ctx, 1)
		log.Warnf(ctx, "%s: %v", filepath.Base(name), bad)
	}, func(o *penumbra.Observation) error {
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
	})
}

// eachObservation visits what a timeline file says, sensitive values sealed,
// single values of metrics left out: models learn of means.
func eachObservation(name string, key penumbra.Key, bad func(*timeline.LineError), visit func(*penumbra.Observation) error) error {
	file, err := os.Open(name)
	if err != nil {
		return &penumbra.Error{Kind: penumbra.Missing, What: "read a timeline", Remedy: "name a file that every worker can read", Err: err}
	}
	defer file.Close()
	for d := timeline.NewDecoder(file, filepath.Base(name)); ; {
		o, err := d.Next()
		var line *timeline.LineError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &line):
			bad(line)
			continue
		case err != nil:
			return err
		case o.Kind == penumbra.MetricKind && o.Source == penumbra.LiveSource:
			continue
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

// observations are those of files, by the key that fn gives them.
func observations(s beam.Scope, files []string, fn *readFn) beam.PCollection {
	s = s.Scope("read timelines")
	names := beam.Reshuffle(s, beam.CreateList(s, files))
	return beam.ParDo(s, fn, names)
}
