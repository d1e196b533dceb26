package timelines

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/timeline"
)

// Read reads timelines, and the store if asked to, as one history with what
// was mined.
func Read(ctx context.Context, on *console.Console, c *wire.Config, store bool, files []string, mined ...penumbra.Observation) ([]*penumbra.Observation, error) {
	a := &app{on}
	all := mined
	for _, name := range files {
		read, err := a.readTimeline(name)
		if err != nil {
			return nil, err
		}
		all = append(all, read...)
	}
	if store {
		s, err := c.OpenToRead(ctx)
		if penumbra.KindOf(err) == penumbra.NotFound {
			return nil, &penumbra.Error{Kind: penumbra.NotFound, What: "there is no store in " + c.DataDir(), Remedy: "name a timeline file, or run `penumbra serve` or `penumbra ingest` first"}
		}
		if err != nil {
			return nil, err
		}
		defer s.Close()
		for o, err := range s.Observations(ctx, penumbra.ObservationQuery{}) {
			if err != nil {
				return nil, err
			}
			all = append(all, o)
		}
	}
	ordered := timeline.Order(all)
	out := make([]*penumbra.Observation, len(ordered))
	for i := range ordered {
		out[i] = &ordered[i]
	}
	return out, nil
}

// readTimeline reads a file and tells of the lines that it could not read. Single
// values of metrics are left out: models learn of means.
func (a *app) readTimeline(name string) ([]penumbra.Observation, error) {
	r := a.In
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read a timeline", Remedy: "check the file's name", Err: err}
		}
		defer file.Close()
		read, end := a.Reading(filepath.Base(name), file, console.SizeOf(file))
		defer end()
		r = read
	}
	var out []penumbra.Observation
	var bad []*timeline.LineError
	for d := timeline.NewDecoder(r, filepath.Base(name)); ; {
		o, err := d.Next()
		var line *timeline.LineError
		switch {
		case errors.Is(err, io.EOF):
			a.tellBad(name, len(out)+len(bad), bad)
			return out, nil
		case errors.As(err, &line):
			bad = append(bad, line)
		case err != nil:
			return nil, err
		case !IsValues(o):
			out = append(out, o)
		}
	}
}

// shownBad is how many bad lines are told one by one.
const shownBad = 10

func (a *app) tellBad(name string, lines int, bad []*timeline.LineError) {
	if len(bad) == 0 {
		return
	}
	fmt.Fprintf(a.Err, "%s: %d lines, %d left out\n", name, lines, len(bad))
	for _, b := range bad[:min(len(bad), shownBad)] {
		fmt.Fprintf(a.Err, "  line %d: %s\n", b.Line, b.Reason)
	}
	if more := len(bad) - shownBad; more > 0 {
		fmt.Fprintf(a.Err, "  and %d more\n", more)
	}
}

// IsValues reports whether an observation is single values of metrics.
func IsValues(o penumbra.Observation) bool {
	return o.Kind == penumbra.MetricKind && o.Source == penumbra.LiveSource
}
