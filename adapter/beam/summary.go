package beam

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/penumbra-iac/penumbra"
)

// Summary is what files of scores say, in short.
type Summary struct {
	Resources int            `json:"resources"`
	Findings  map[string]int `json:"findings"` // by verdict
	Likeliest []Likely       `json:"likeliest"`
}

// Likely is a resource that is likely to leave.
type Likely struct {
	Resource penumbra.Address                `json:"resource"`
	Type     string                          `json:"type"`
	Leave    [len(penumbra.Horizons)]float64 `json:"leave"`
}

// shownHorizon is the horizon that the likeliest to leave are ordered by: 7 days.
const shownHorizon = 3

// finding is the part of one that is summed up.
type finding struct {
	Verdict penumbra.Verdict `json:"verdict"`
}

// Summarise sums up the scores of a folder, keeping the n likeliest to leave.
func Summarise(folder string, n int) (*Summary, error) {
	names, err := filepath.Glob(filepath.Join(folder, "scores-*"))
	if err != nil {
		return nil, err
	}
	s := &Summary{Findings: map[string]int{}, Likeliest: []Likely{}}
	for _, name := range names {
		read := s.readLines
		if isParquet(name) {
			read = s.readRows
		}
		if err := read(name, n); err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Damaged, What: "read " + name, Remedy: "score again into another folder", Err: err}
		}
	}
	return s, nil
}

func (s *Summary) add(x Likely, findings []finding, n int) {
	s.Resources++
	for _, f := range findings {
		s.Findings[f.Verdict.String()]++
	}
	s.Likeliest = append(s.Likeliest, x)
	slices.SortFunc(s.Likeliest, func(x, y Likely) int { // by the address, so that the order of files does not matter
		return cmp.Or(cmp.Compare(y.Leave[shownHorizon], x.Leave[shownHorizon]), cmp.Compare(x.Resource, y.Resource))
	})
	s.Likeliest = s.Likeliest[:min(len(s.Likeliest), max(0, n))]
}

func (s *Summary) readLines(name string, n int) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	z, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		return err
	}
	for d := json.NewDecoder(z); ; {
		var x struct {
			Likely
			Findings []finding `json:"findings"`
		}
		if err := d.Decode(&x); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		s.add(x.Likely, x.Findings, n)
	}
}

func (s *Summary) readRows(name string, n int) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	r := parquet.NewGenericReader[scoredRow](file)
	defer r.Close()
	for rows := make([]scoredRow, 64); ; {
		got, err := r.Read(rows)
		for _, x := range rows[:got] {
			var findings []finding
			if x.Findings != "" {
				if err := json.Unmarshal([]byte(x.Findings), &findings); err != nil {
					return err
				}
			}
			s.add(Likely{penumbra.Address(x.Resource), x.Type, [...]float64{x.Leave1h, x.Leave6h, x.Leave1d, x.Leave7d, x.Leave30d}}, findings, n)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
