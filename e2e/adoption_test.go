//go:build unix

package e2e

// This file covers adoption into code of the shapes that people write: each of
// adapter/hcl/testdata/shapes is applied for real, its world is edited by hand,
// and the drift that the program finds is adopted. Then a plan of the whole
// stack has no changes, and no byte of the code has changed but those of the
// diff. Where a shape is refused, the reason and the remedy are held to.

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/adapter/hcl"
	"github.com/penumbra-iac/penumbra/adapter/tofu"
	"github.com/penumbra-iac/penumbra/proposal"
)

const shapes = "../adapter/hcl/testdata/shapes/*.txtar"

// shape is one of them; its directives are explained at TestGolden of
// adapter/hcl, and here:
//
//	world FILE KEY VALUE   what somebody does to a file by hand; no value deletes the key
//	environment NAME=VALUE
//	undeclared PATH JSON   what drifted too, and the code does not declare
type shape struct {
	address     penumbra.Address
	world       [][3]string
	settings    penumbra.Settings
	varFiles    []string
	environment []string
	crlf        []string
	refused     bool
	files       map[string]string
	want        string
}

func readShape(t *testing.T, path string) shape {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s := shape{files: map[string]string{}}
	for line := range strings.Lines(string(archive.Comment)) {
		verb, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch verb {
		case "address":
			s.address = penumbra.NewAddress("shop", rest)
		case "world":
			words := append(strings.SplitN(rest, " ", 3), "")
			s.world = append(s.world, [3]string(words[:3]))
		case "set", "undeclared":
			path, text, _ := strings.Cut(rest, " ")
			x := penumbra.Setting{Path: path}
			if err := json.Unmarshal([]byte(text), &x.Value); err != nil {
				t.Fatal(err)
			}
			s.settings = append(s.settings, x)
		case "var-file":
			s.varFiles = append(s.varFiles, rest)
		case "environment":
			s.environment = append(s.environment, rest)
		case "crlf":
			s.crlf = append(s.crlf, rest)
		case "refused":
			s.refused = true
		}
	}
	for _, f := range archive.Files {
		text := string(f.Data)
		if slices.Contains(s.crlf, f.Name) {
			text = strings.ReplaceAll(text, "\n", "\r\n")
		}
		if f.Name == "want" {
			s.want = text
		} else {
			s.files[f.Name] = text
		}
	}
	s.settings = penumbra.NewSettings(s.settings...)
	return s
}

// required names the provider; each folder of code needs it.
const required = `terraform {
  required_providers {
    conffile = {
      source = "penumbra.example/examples/conffile"
    }
  }
}
`

// patching is what proposals need of a stack, as the program joins it.
type patching struct {
	*tofu.Workspace
	dir      string
	varFiles []string
}

func (w patching) PatchValues(_ context.Context, addresses []penumbra.Address, settings []penumbra.Setting) (penumbra.Patch, error) {
	return hcl.Values(w.dir, "shop", addresses[0], settings, w.varFiles...)
}

func (w patching) PatchInstance(_ context.Context, address penumbra.Address, settings []penumbra.Setting) (penumbra.Patch, error) {
	return hcl.Instance(w.dir, "shop", address, settings, w.varFiles...)
}

func (w patching) PatchIgnore(_ context.Context, address penumbra.Address, paths []string, why string) (penumbra.Patch, error) {
	return hcl.IgnoreChanges(w.dir, "shop", address, paths, why)
}

func (w patching) PatchImport(_ context.Context, address penumbra.Address, id string) (penumbra.Patch, error) {
	return hcl.Import(w.dir, "shop", address, id)
}

func TestAdoptionOfShapes(t *testing.T) {
	paths, err := filepath.Glob(shapes)
	if err != nil || len(paths) < 24 {
		t.Fatalf("found %d shapes, error %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			needTool(t)
			s := readShape(t, path)
			at := s.made(t)
			d := at.drifted(s)
			at.adopts(s, d)
		})
	}
}

// made writes the shape's code and applies it.
func (s *shape) made(t *testing.T) *site {
	t.Helper()
	root := t.TempDir()
	at := &site{t: t, root: root, dir: filepath.Join(root, "shop"), env: append(environment(t.TempDir()), s.environment...)}
	t.Cleanup(at.reap)
	folders := map[string]bool{}
	for name, text := range s.files {
		at.make("shop/"+name, text)
		if strings.HasSuffix(name, ".tf") || strings.HasSuffix(name, ".tf.json") {
			folders[filepath.Dir(name)] = true
		}
	}
	for folder := range folders {
		at.make(filepath.Join("shop", folder, "versions.tf"), required)
	}
	at.tofu("init", "-input=false")
	at.tofu(append([]string{"apply", "-input=false", "-auto-approve"}, s.varFlags()...)...)
	return at
}

// secret reports whether the drift is in a secret, of which only a hash is told.
func (s *shape) secret() bool {
	return slices.ContainsFunc(s.settings, func(x penumbra.Setting) bool { return penumbra.LooksSecret(x.Path, x.Value) })
}

func (s *shape) varFlags() []string {
	var flags []string
	for _, f := range s.varFiles {
		flags = append(flags, "-var-file="+f)
	}
	return flags
}

func (s *site) make(name, text string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	s.write(name, text)
}

// byHand edits a configuration file as a person would.
func (s *site) byHand(file, key, value string) {
	s.t.Helper()
	var out []string
	found := false
	for line := range strings.Lines(s.read("shop/" + file)) {
		name, _, _ := strings.Cut(line, "=")
		if strings.TrimSpace(name) != key {
			out = append(out, line)
			continue
		}
		found = true
		if value != "" {
			out = append(out, key+" = "+value+"\n")
		}
	}
	if !found {
		out = append(out, key+" = "+value+"\n")
	}
	s.write("shop/"+file, strings.Join(out, ""))
}

// drifted edits the world and returns the drift that the program finds there.
func (s *site) drifted(x shape) penumbra.Drift {
	s.t.Helper()
	for _, w := range x.world {
		s.byHand(w[0], w[1], w[2])
	}
	args := []string{"check", "shop", "--stack", "shop", "-o", "json", "--drift-exit-code", "0"}
	for _, f := range x.varFiles {
		args = append(args, "--var-file", f)
	}
	var found struct{ Assessments []penumbra.Assessment }
	s.penumbra(args...).ends(0).into(&found)
	i := slices.IndexFunc(found.Assessments, func(a penumbra.Assessment) bool { return a.Resource == x.address })
	if i < 0 {
		s.t.Fatalf("no finding on %s: %+v", x.address, found.Assessments)
	}
	d := penumbra.Drift{ID: "d-1", Resource: x.address, Verdict: penumbra.Drifted, Opened: time.Now(), Changed: time.Now()}
	var settings penumbra.Settings
	for _, f := range found.Assessments[i].Findings {
		if f.Verdict.IsDrift() {
			d.Findings = append(d.Findings, f)
			settings = append(settings, penumbra.Setting{Path: f.Path, Value: f.Actual})
		}
	}
	if settings = penumbra.NewSettings(settings...); !slices.Equal(settings, x.settings) && !x.secret() {
		s.t.Fatalf("the drift: %v, want %v: %+v", settings, x.settings, found.Assessments[i].Findings)
	}
	return d
}

// adopts has the drift adopted and plans the stack, or holds to the refusal.
func (s *site) adopts(x shape, d penumbra.Drift) {
	s.t.Helper()
	env := map[string]string{}
	for _, pair := range s.env {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	w, err := tofu.New(tofu.Config{Stack: "shop", Dir: s.dir, Binary: tool, Key: penumbra.Key("a key for tests only"), DataDir: filepath.Join(s.root, "data"), Env: env, VarFiles: x.varFiles})
	if err != nil {
		s.t.Fatal(err)
	}
	list, omitted, err := proposal.For(s.t.Context(), proposal.Evidence{Drift: d, Now: time.Now()}, patching{w, s.dir, x.varFiles})
	if err != nil {
		s.t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(p penumbra.Proposal) bool { return p.Kind == penumbra.Adopt })
	if x.refused {
		o := slices.IndexFunc(omitted, func(o penumbra.Omitted) bool { return o.Kind == penumbra.Adopt })
		if i >= 0 || o < 0 || len(omitted[o].Reason) < 40 {
			s.t.Fatalf("it is not refused with a reason: %+v", omitted)
		}
		s.t.Logf("refused: %s", omitted[o].Reason)
		return
	}
	if i < 0 {
		s.t.Fatalf("no adoption is proposed: %+v", omitted)
	}
	p := list[i]
	if _, diff, _ := strings.Cut("\n"+x.want, "\n--- "); strings.ReplaceAll(p.Patch.Diff(), "\r", "␍") != "--- "+diff {
		s.t.Errorf("the diff:\n%s\nwant:\n%s", p.Patch.Diff(), x.want)
	}
	before := s.code()
	if err := w.WritePatch(s.t.Context(), *p.Patch); err != nil {
		s.t.Fatal(err)
	}
	s.run(tool, s.dir, nil, append([]string{"plan", "-input=false", "-detailed-exitcode", "-no-color"}, x.varFlags()...)...).ends(0).tells("No changes")

	// What git makes of the diff is what was written, and nothing else was.
	for _, f := range p.Patch.Files {
		if before[f.Path] != f.Before {
			s.t.Errorf("%s was not what the patch is for", f.Path)
		}
		before[f.Path] = f.After
	}
	if after := s.code(); !maps.Equal(before, after) {
		s.t.Errorf("the code was changed beyond the patch:\n%v\nwant\n%v", after, before)
	}
}

// code returns the text of each file of the stack's code.
func (s *site) code() map[string]string {
	s.t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		name, _ := filepath.Rel(s.dir, path)
		if d.IsDir() || strings.Contains(name, "tfstate") || strings.HasSuffix(name, ".conf") {
			return nil
		}
		text, err := os.ReadFile(path)
		out[name] = string(bytes.Clone(text))
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}
