package backtest

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Correction is a commit's bringing a template to what was really there: the
// setting had departed before it.
type Correction struct {
	Time     time.Time // when the commit was written: by then the departure was known
	Commit   string
	Resource penumbra.Address
	Setting  string
	Old, New string // of the template, as the code spells them
}

// CorrectionColumns are those of a file of corrections, in their order.
const CorrectionColumns = "time_unix, commit, resource, type, setting, old_template, new_template"

// ReadCorrections reads tab separated lines below a line that names the columns,
// [CorrectionColumns]. Lines without an old or a new value, of resources that
// came or went, are left out.
// It returns an error of kind Invalid that names the line that cannot be read.
func ReadCorrections(r io.Reader) ([]Correction, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	wrong := func(n int, what string) error {
		return invalid(fmt.Sprintf("line %d of the corrections %s", n, what), "give tab separated "+CorrectionColumns)
	}
	columns := strings.Split(CorrectionColumns, ", ")
	var out []Correction
	for n := 1; lines.Scan(); n++ {
		fields := strings.Split(lines.Text(), "\t")
		if n == 1 {
			if !slices.Equal(fields, columns) {
				return nil, wrong(n, "does not name the columns")
			}
			continue
		}
		if len(fields) != len(columns) {
			return nil, wrong(n, fmt.Sprintf("has %d fields", len(fields)))
		}
		seconds, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return nil, wrong(n, fmt.Sprintf("has the time %q", fields[0]))
		}
		if fields[5] == "" || fields[6] == "" || fields[5] == fields[6] {
			continue
		}
		out = append(out, Correction{
			Time: time.Unix(seconds, 0).UTC(), Commit: fields[1], Resource: penumbra.Address(fields[2]),
			Setting: fields[4], Old: fields[5], New: fields[6],
		})
	}
	if err := lines.Err(); err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: "read the corrections", Remedy: "check the file", Err: err}
	}
	slices.SortStableFunc(out, func(a, b Correction) int { return a.Time.Compare(b.Time) })
	return out, nil
}

// Departed is a departure that a correction tells of.
type Departed struct {
	Correction
	From, To penumbra.Value
	// Snapshot is the observation that shows it.
	Snapshot *penumbra.Observation
}

// Observed is a history of code with its corrections, as templates and
// snapshots.
type Observed struct {
	Observations []*penumbra.Observation
	Departed     []Departed
	// Unknown counts corrections of settings that the code did not have at the
	// old value then: of other branches, or already there. Repeated counts those
	// of settings that had departed already and were not brought back since.
	Unknown, Repeated int
}

// Observe turns a history of code into one of templates and snapshots in which
// a correction's setting departs from its template when the correcting commit
// was written, and comes back into sync when the code that the history holds
// moves it. Besides, what the code says is taken to be applied at once; nothing
// of a correction is seen before its time. Observations that are not of code
// stay as they are.
func Observe(history []*penumbra.Observation, corrections []Correction) *Observed {
	w := observer{known: map[penumbra.Address]*observed{}}
	for _, o := range history {
		for len(corrections) > 0 && !corrections[0].Time.After(o.Time) {
			w.correct(corrections[0])
			corrections = corrections[1:]
		}
		w.code(o)
	}
	return &w.out
}

// observer builds what was observed.
type observer struct {
	known map[penumbra.Address]*observed
	out   Observed
}

// observed is one resource of the code.
type observed struct {
	kind     string
	template penumbra.Settings
	away     map[string]bool
}

// stateSource is the source of the snapshots.
const stateSource = "state:corrections"

func (w *observer) code(o *penumbra.Observation) {
	if !o.IsCodeChange() {
		w.out.Observations = append(w.out.Observations, o)
		return
	}
	r := w.known[o.Resource]
	if o.Action == penumbra.ActionDelete {
		if r != nil {
			w.out.Observations = append(w.out.Observations, o)
			delete(w.known, o.Resource)
		}
		return
	}
	full := o.Action == "create" || r == nil
	if r == nil {
		r = &observed{}
		w.known[o.Resource] = r
	}
	r.kind = o.Type
	template, snapshot := *o, penumbra.Observation{Kind: penumbra.SnapshotKind, Time: o.Time, Resource: o.Resource, Type: o.Type, Source: stateSource, Settings: o.Settings, Full: full}
	if full {
		r.template, r.away = penumbra.Settings(nil).Merge(o.Settings), nil
		snapshot.Settings = r.template
	} else {
		r.template = r.template.Merge(o.Settings)
		for _, x := range o.Settings {
			delete(r.away, x.Path)
		}
	}
	template.Kind, template.Action, template.Settings = penumbra.TemplateKind, "", r.template
	w.out.Observations = append(w.out.Observations, &template, &snapshot)
}

func (w *observer) correct(c Correction) {
	r := w.known[c.Resource]
	if r == nil {
		w.out.Unknown++
		return
	}
	from := r.template.Get(c.Setting)
	if from.IsNull() || from != like(c.Old, from) {
		w.out.Unknown++
		return
	}
	if r.away[c.Setting] {
		w.out.Repeated++
		return
	}
	if r.away == nil {
		r.away = map[string]bool{}
	}
	r.away[c.Setting] = true
	to := like(c.New, from)
	o := &penumbra.Observation{
		Kind: penumbra.SnapshotKind, Time: c.Time, Resource: c.Resource, Type: r.kind, Source: stateSource + "/" + c.Commit,
		Settings: penumbra.NewSettings(penumbra.Setting{Path: c.Setting, Value: to}),
	}
	w.out.Observations = append(w.out.Observations, o)
	w.out.Departed = append(w.out.Departed, Departed{Correction: c, From: from, To: to, Snapshot: o})
}

// like reads a text as the kind of value that the setting has: "14.10" is the
// number 14.1 where the code has numbers.
func like(text string, kind penumbra.Value) penumbra.Value {
	switch kind.Kind() {
	case penumbra.NumberKind:
		if v, err := penumbra.ParseNumber(text); err == nil {
			return v
		}
	case penumbra.BoolKind:
		if b, err := strconv.ParseBool(text); err == nil {
			return penumbra.Bool(b)
		}
	}
	return penumbra.String(text)
}

// settingAt names a setting.
type settingAt struct {
	resource penumbra.Address
	path     string
}

// when lists the departures of each setting, in the order of time.
func when(departed []Departed) map[settingAt][]int {
	out := map[settingAt][]int{}
	for i, d := range departed {
		k := settingAt{d.Resource, d.Setting}
		out[k] = append(out[k], i)
	}
	for _, l := range out {
		slices.SortFunc(l, func(a, b int) int { return cmp.Compare(departed[a].Time.Unix(), departed[b].Time.Unix()) })
	}
	return out
}
