package backtest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/gob"
	"fmt"
	"iter"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

// Part is what was asked and answered of a part of an estate.
type Part struct{ replayed *replay }

// Replay is [Run] of a part of an estate without the report, which [Join] makes
// from all parts. The options are planned by what is known of the whole estate,
// see [Options.Plan]. No resource is in two parts. The models learn of the part
// alone, and so do the naive predictors.
func Replay(ctx context.Context, observations iter.Seq[*penumbra.Observation], entrants []Entrant, options Options) (*Part, error) {
	if options.From.IsZero() || options.To.IsZero() || options.Every <= 0 {
		return nil, invalid("a part of an estate is replayed by options that are not planned", "plan them by the survey of the whole estate")
	}
	options.defaults()
	if err := options.check(); err != nil {
		return nil, err
	}
	p := newReplay(&options, entrants)
	if err := p.run(ctx, observations); err != nil {
		return nil, err
	}
	return &Part{p}, nil
}

// commit is what makes observations one commit or read, in all parts.
type commit struct {
	At     int64 // Unix nanoseconds
	Source string
}

// piece is a part of a part: what was answered at one cut, or all the rest.
type piece struct {
	Part  int
	Cut   int // -1 of the rest
	Asked askedCut
	Rest  figures
}

// askedCut is a cut, its levels as little-endian bytes. One that only ranks has
// them at the first horizon alone.
type askedCut struct {
	At            int64
	Setting, Left []int32
	Answers       [][][]byte
}

// figures are what a replay counted as it went, and what the numbers in its cuts
// mean.
type figures struct {
	Seen, Resources, Cuts int
	Kinds, Paths          []string // of classes
	Class                 []int32  // of settings
	Changed, In           []int32  // of changes: the setting and the commit
	Commits               []commit
	Sets, ChangedSets     []tallies
	Values, Resolved      []choice
	Next                  []guesses
	Drift                 []judged
}

// Pieces returns the part in pieces of which none is larger than what was asked
// at one cut, for [Join]. Each part of an estate has a number of its own.
func (x *Part) Pieces(number int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		write := func(y piece) bool {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(y)
			return yield(b.Bytes(), err) && err == nil
		}
		if !write(piece{Part: number, Cut: -1, Rest: x.replayed.figures()}) {
			return
		}
		for i := range x.replayed.cuts {
			if !write(piece{Part: number, Cut: i, Asked: x.replayed.pack(&x.replayed.cuts[i])}) {
				return
			}
		}
	}
}

func (p *replay) figures() figures {
	w := p.world
	f := figures{
		Seen: p.seen, Resources: len(w.known), Cuts: len(p.cuts), Class: w.class, Commits: p.commits,
		Kinds: make([]string, len(w.classes)), Paths: make([]string, len(w.classes)),
		Sets: p.sets.all, ChangedSets: p.sets.changed,
	}
	for key, n := range w.classes {
		f.Kinds[n], f.Paths[n] = key.kind, key.path
	}
	for _, c := range w.changes {
		f.Changed, f.In = append(f.Changed, c.setting), append(f.In, c.commit)
	}
	for _, v := range p.values {
		f.Values, f.Resolved = append(f.Values, v.all), append(f.Resolved, v.resolved)
	}
	for _, x := range p.follows {
		f.Next = append(f.Next, x.guesses)
	}
	for _, x := range p.verdicts {
		f.Drift = append(f.Drift, x.judged())
	}
	return f
}

func (p *replay) pack(c *cut) askedCut {
	out := askedCut{At: c.at, Setting: c.setting, Left: c.left, Answers: make([][][]byte, len(c.answers))}
	for i, x := range p.asker.predictors {
		for h, answers := range c.answers[i] {
			if x.ranks && h > 0 {
				break
			}
			data := make([]byte, 0, 2*len(answers))
			for _, level := range answers {
				data = binary.LittleEndian.AppendUint16(data, level)
			}
			out.Answers[i] = append(out.Answers[i], data)
		}
	}
	return out
}

// gathered are the pieces of one part.
type gathered struct {
	number int
	rest   *figures
	cuts   []*askedCut
}

// Join makes the report of an estate from the pieces of all its parts, in
// whichever order they come. Entrants and options are those that the parts were
// replayed with; the models are not asked any more. Every figure is computed as
// if one process had got the same answers: from the pieces of one part that has
// the whole estate Join makes the report that [Run] makes. It returns an error of
// kind Damaged if a piece cannot be read or is missing, and the context's if it
// ends. All answers are in memory at a time, some 30 bytes for each question and
// model, see the package's comment.
func Join(ctx context.Context, pieces iter.Seq[[]byte], entrants []Entrant, options Options) (*Report, error) {
	parts, err := gather(ctx, pieces)
	if err != nil {
		return nil, damaged(err)
	}
	options.defaults()
	j := joining{replay: newReplay(&options, entrants), commit: map[commit]int32{}}
	for i := range parts {
		if err := j.add(&parts[i], i == 0); err != nil {
			return nil, damaged(err)
		}
		parts[i] = gathered{} // its memory is needed
	}
	return j.report(ctx, j.seen, j.resources)
}

func damaged(err error) error {
	return &penumbra.Error{Kind: penumbra.Damaged, What: "join the parts of a backtest", Remedy: "run it again, with one version of Penumbra everywhere", Err: err}
}

// gather reads the pieces and returns whole parts in the order of their numbers.
func gather(ctx context.Context, pieces iter.Seq[[]byte]) ([]gathered, error) {
	byNumber := map[int]*gathered{}
	for data := range pieces {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var x piece
		if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&x); err != nil {
			return nil, err
		}
		g := byNumber[x.Part]
		if g == nil {
			g = &gathered{number: x.Part}
			byNumber[x.Part] = g
		}
		if x.Cut < 0 {
			g.rest = &x.Rest
			continue
		}
		g.cuts = append(g.cuts, make([]*askedCut, max(0, x.Cut+1-len(g.cuts)))...)
		g.cuts[x.Cut] = &x.Asked
	}
	var parts []gathered
	for _, g := range byNumber {
		if g.rest == nil || len(g.cuts) != g.rest.Cuts || slices.Contains(g.cuts, nil) {
			return nil, fmt.Errorf("part %d is not whole", g.number)
		}
		parts = append(parts, *g)
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("there is none")
	}
	slices.SortFunc(parts, func(a, b gathered) int { return cmp.Compare(a.number, b.number) })
	return parts, nil
}

// joining is a replay that other replays are added to.
type joining struct {
	*replay
	resources int
	commit    map[commit]int32 // which number it has
}

func (j *joining) add(part *gathered, first bool) error {
	f, w := part.rest, j.world
	if len(f.Sets) != len(j.sets.all) || len(f.ChangedSets) != len(f.Sets) || len(f.Values) != len(j.values) || len(f.Resolved) != len(f.Values) ||
		len(f.Next) != len(j.follows) || len(f.Drift) != len(j.verdicts) || !first && len(part.cuts) != len(j.cuts) {
		return fmt.Errorf("part %d was replayed by other options", part.number)
	}
	settings, changes := int32(len(w.class)), int32(len(w.changes))
	j.seen += f.Seen
	j.resources += f.Resources
	class := make([]int32, len(f.Kinds))
	for i := range f.Kinds {
		key := classKey{f.Kinds[i], f.Paths[i]}
		n, ok := w.classes[key]
		if !ok {
			n = int32(len(w.classes))
			w.classes[key] = n
		}
		class[i] = n
	}
	for _, n := range f.Class {
		w.class = append(w.class, class[n])
	}
	for i, s := range f.Changed {
		w.changes = append(w.changes, change{settings + s, j.number(f.Commits[f.In[i]])})
	}
	for i := range f.Sets {
		j.sets.all[i].join(&f.Sets[i])
		j.sets.changed[i].join(&f.ChangedSets[i])
	}
	for i := range f.Values {
		j.values[i].all.join(&f.Values[i])
		j.values[i].resolved.join(&f.Resolved[i])
	}
	for i := range f.Next {
		j.follows[i].join(&f.Next[i])
	}
	for i := range f.Drift {
		j.verdicts[i].parts = append(j.verdicts[i].parts, f.Drift[i])
	}
	if first {
		j.cuts = make([]cut, len(part.cuts))
	}
	for i := range part.cuts {
		if err := j.append(&j.cuts[i], part.cuts[i], settings, changes, first); err != nil {
			return fmt.Errorf("part %d: %w", part.number, err)
		}
		part.cuts[i] = nil
	}
	return nil
}

// number returns that of a commit, which may be in several parts.
func (j *joining) number(c commit) int32 {
	n, ok := j.commit[c]
	if !ok {
		n = int32(len(j.world.commits))
		j.commit[c] = n
		j.world.commits = append(j.world.commits, floorSeconds(c.At))
	}
	return n
}

func floorSeconds(nanoseconds int64) int64 {
	s := nanoseconds / 1e9
	if nanoseconds%1e9 < 0 {
		s--
	}
	return s
}

// append adds the rows of a part's cut, whose settings and changes are numbered
// from the given ones on.
func (j *joining) append(c *cut, x *askedCut, settings, changes int32, first bool) error {
	if first {
		c.at, c.answers = x.At, make([][][]uint16, len(j.asker.predictors))
		for i := range c.answers {
			c.answers[i] = make([][]uint16, len(j.options.Horizons))
		}
	}
	if c.at != x.At || len(x.Answers) != len(c.answers) || len(x.Left) != len(x.Setting) {
		return fmt.Errorf("a cut was made by other options")
	}
	for k, s := range x.Setting {
		c.setting = append(c.setting, settings+s)
		left := x.Left[k]
		if left >= 0 {
			left += changes
		}
		c.left = append(c.left, left)
	}
	for i, p := range j.asker.predictors {
		for h := range c.answers[i] {
			if p.ranks && h > 0 {
				c.answers[i][h] = c.answers[i][0]
				continue
			}
			if h >= len(x.Answers[i]) || len(x.Answers[i][h]) != 2*len(x.Setting) {
				return fmt.Errorf("answers of %s are missing", p.name)
			}
			for data := x.Answers[i][h]; len(data) > 0; data = data[2:] {
				c.answers[i][h] = append(c.answers[i][h], binary.LittleEndian.Uint16(data))
			}
		}
	}
	return nil
}
