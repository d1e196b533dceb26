package beam

import (
	"io"
	"path/filepath"
	"strings"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/timeline"
)

// Convert writes timeline files as one, in the form that its ending says: .parquet,
// .jsonl or .jsonl.gz. Lines that cannot be read are kept aside beside it, see
// [Result]. Plain secrets are hashed under a key that nobody keeps, as in a job.
func Convert(files []string, out string) (Result, error) {
	switch {
	case len(files) == 0:
		return Result{}, invalid("convert without a timeline", "name timeline files")
	case !isParquet(out) && !strings.HasSuffix(out, ".jsonl") && !strings.HasSuffix(out, ".jsonl.gz"):
		return Result{}, invalid("convert to "+filepath.Base(out), "name a file that ends in .parquet, .jsonl or .jsonl.gz")
	}
	var result Result
	var aside [][]byte
	key := newKey()
	err := writeWhole(out, newTimelineRow, func(w io.Writer) error {
		to := timeline.NewEncoder(w)
		for _, name := range files {
			err := eachObservation(name, key, func(bad *timeline.LineError) error {
				result.LinesLeftOut++
				line, err := leftOut(name, bad)
				aside = append(aside, line)
				return err
			}, func(o *penumbra.Observation) error {
				result.Observations++
				return to.Encode(o)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(aside) == 0 {
		return result, err
	}
	result.LeftOut = asideOf(out)
	return result, writeWhole(result.LeftOut, newTimelineRow, func(w io.Writer) error {
		for _, line := range aside {
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
		return nil
	})
}
