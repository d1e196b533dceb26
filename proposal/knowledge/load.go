package knowledge

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed entries/*.yaml
var shipped embed.FS

// Format is the version of the format that this program reads.
const Format = 1

// largestFile is in bytes: a file of knowledge is written by hand.
const largestFile = 1 << 20

// Load reads the entries of the binary, then those of the folders in their
// order, each over those before it. The base holds what is right; the mistakes
// are all that is wrong, with the place of each, nil if nothing is.
func Load(folders ...string) (*Base, Mistakes) {
	own, _ := fs.Sub(shipped, "entries")
	l := &loader{entries: map[string]*Entry{}}
	l.layer(own, "built-in:", false)
	for _, folder := range folders {
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			what := "is no folder"
			if err != nil {
				what = cause(err)
			}
			l.mistakes = append(l.mistakes, Mistake{File: folder, What: what, Remedy: "name a folder with files of knowledge, see `penumbra knowledge check --help`"})
			continue
		}
		l.layer(os.DirFS(folder), folder+string(filepath.Separator), true)
	}
	l.mistakes.sort()
	return newBase(slices.Collect(maps.Values(l.entries))), l.mistakes
}

func cause(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// loader puts layers of entries one over the other.
type loader struct {
	entries  map[string]*Entry
	mistakes Mistakes
}

// layer reads all YAML files of a folder, in the order of their names. prefix
// goes before a file's name where it is told.
func (l *loader) layer(folder fs.FS, prefix string, own bool) {
	var found []*Entry
	err := fs.WalkDir(folder, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			l.mistakes = append(l.mistakes, Mistake{File: prefix + name, What: cause(err), Remedy: "make it readable"})
			return nil
		}
		if hidden := name != "." && strings.HasPrefix(d.Name(), "."); hidden && d.IsDir() {
			return fs.SkipDir
		} else if hidden || d.IsDir() || !isYAML(name) {
			return nil
		}
		data, err := readFile(folder, name)
		if err != nil {
			l.mistakes = append(l.mistakes, Mistake{File: prefix + name, What: cause(err), Remedy: "make it a readable file of at most 1 MiB"})
			return nil
		}
		entries, mistakes := Read(prefix+name, data)
		l.mistakes = append(l.mistakes, mistakes...)
		found = append(found, entries...)
		return nil
	})
	if err != nil {
		l.mistakes = append(l.mistakes, Mistake{File: prefix, What: cause(err), Remedy: "make it readable"})
	}
	l.lay(found, own)
}

func isYAML(name string) bool {
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

func readFile(folder fs.FS, name string) ([]byte, error) {
	f, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("it is not a regular file"))
	}
	data, err := io.ReadAll(io.LimitReader(f, largestFile+1))
	if err == nil && len(data) > largestFile {
		err = errors.New("it is larger than 1 MiB")
	}
	return data, err
}

// lay puts the entries of one layer over those before.
func (l *loader) lay(layer []*Entry, own bool) {
	seen := map[string]*Entry{}
	for _, e := range layer {
		e.Own = own
		if first := seen[e.ID]; first != nil {
			l.wrong(e, "the id stands already at "+first.place(), "give one of the two another id")
			continue
		}
		seen[e.ID] = e
		if !e.disabled {
			l.entries[e.ID] = e
			continue
		}
		if _, there := l.entries[e.ID]; !there {
			l.wrong(e, "there is no entry of this id to disable", near(e.ID, slices.Sorted(maps.Keys(l.entries)), "see `penumbra knowledge list`; the ids are "))
		}
		delete(l.entries, e.ID)
	}
}

func (l *loader) wrong(e *Entry, what, remedy string) {
	l.mistakes = append(l.mistakes, Mistake{File: e.File, Line: e.Line, Column: e.node.Column, Entry: e.ID, What: what, Remedy: remedy})
}

func (e *Entry) place() string { return fmt.Sprintf("%s:%d", e.File, e.Line) }

var fileKeys = []string{"format", "about", "entries"}

// Read reads one file of knowledge: the entries that are right, and what is
// wrong. The name is told in mistakes.
func Read(name string, data []byte) ([]*Entry, Mistakes) {
	r := &reader{file: name, lines: strings.Split(string(data), "\n")}
	var out []*Entry
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for documents := 0; ; documents++ {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			if documents == 0 {
				r.wrongAt(1, 1, "the file is empty", "write `format: 1` and `entries:`, or remove it")
			}
			break
		}
		if err != nil {
			line, what := syntax(err)
			r.wrongAt(line, 1, what, "correct the YAML: often it is an indentation, or a text with a colon that needs quotes")
			break
		}
		if len(doc.Content) == 1 {
			out = append(out, r.document(doc.Content[0])...)
		}
	}
	r.mistakes.sort()
	return out, r.mistakes
}

var lineOf = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// syntax takes a YAML error apart. It has no column.
func syntax(err error) (line int, what string) {
	text := err.Error()
	m := lineOf.FindStringSubmatch(text)
	line, _ = strconv.Atoi(m[1])
	return max(1, line), strings.TrimPrefix(text, m[0])
}

func (r *reader) document(n *yaml.Node) []*Entry {
	keys, ok := r.mapping(n, "the file", fileKeys)
	if !ok {
		return nil
	}
	remedy := fmt.Sprintf("write `format: %d`, the version that this program reads", Format)
	if version := keys["format"]; version == nil {
		r.wrong(n, "the file does not say its format", remedy)
	} else if v := resolve(version); v.Value != strconv.Itoa(Format) {
		r.wrong(version, fmt.Sprintf("the format %q is not known", v.Value), remedy)
		return nil // what else is wrong would only follow from this
	}
	if about := keys["about"]; about != nil {
		r.text(about, "about")
	}
	list := keys["entries"]
	if list == nil || resolve(list).Kind != yaml.SequenceNode {
		r.wrong(n, "the file has no list of entries", "list them under `entries:`, each starting with `- id:`")
		return nil
	}
	var out []*Entry
	for _, item := range resolve(list).Content {
		e, ok := r.readEntry(resolve(item))
		if !ok {
			continue
		}
		if r.tried(e) {
			out = append(out, e)
		}
	}
	return out
}

// tried holds an entry against its own examples.
func (r *reader) tried(e *Entry) bool {
	before := len(r.mistakes)
	r.entry = e.ID
	for _, x := range e.examples {
		q := x.query
		_, says := e.fact(&q, steps.Replace(q.Path))
		if says == x.says {
			continue
		}
		what := "the entry says nothing to this example"
		if says {
			what = "the entry has something to say to this example, and should not"
		}
		r.wrong(x.node, fmt.Sprintf("%s (type %s, path %s, value %s)", what, q.Type, q.Path, q.Value), "correct the example, or types, paths and when")
	}
	r.entry = ""
	return len(r.mistakes) == before
}
