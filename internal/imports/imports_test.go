package imports

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/penumbra-iac/penumbra"

// rule says what the packages below a folder may import of Penumbra itself.
type rule struct {
	folder string
	may    []string // folders below the module; "." is the root package
	why    string
}

// The first rule whose folder holds the package applies. "*" is all but cmd, whose
// packages are named one by one.
var rules = []rule{
	{"cmd/penumbra/words", []string{"."}, "words for the nouns, which the wiring and the verbs share"},
	{"cmd/penumbra/reads", []string{".", "adapter/river", "engine", "internal/atrest", "store/postgres", "store/stored"}, "what is read by another node knows the way there and back, and no stack"},
	{"cmd/penumbra/wire", []string{"*", "cmd/penumbra/reads", "cmd/penumbra/words"}, "wire joins the parts, and knows neither a verb nor a terminal"},
	{"cmd/penumbra/console", []string{".", "api", "cmd/penumbra/wire", "cmd/penumbra/words"}, "what every verb stands on knows no verb"},
	{"cmd/penumbra/timelines", []string{"*", "cmd/penumbra/console", "cmd/penumbra/wire", "cmd/penumbra/words"}, "histories are made and read before models learn of them"},
	{"cmd/penumbra/models", []string{"*", "cmd/penumbra/console", "cmd/penumbra/timelines", "cmd/penumbra/wire", "cmd/penumbra/words"}, "models learn of histories"},
	{"cmd/penumbra/daemon", []string{"*", "cmd/penumbra/console", "cmd/penumbra/timelines", "cmd/penumbra/models", "cmd/penumbra/wire", "cmd/penumbra/words"}, "the daemon trains models, and recordings are played on it"},
	{"cmd", []string{"*", "cmd"}, "cmd joins the parts"},
	{"e2e", []string{"*"}, "e2e drives the whole program"},
	{"lab/sizing", nil, "what a fleet needs is reckoned from figures in a file, and of nothing that runs"},
	{"lab", []string{"*"}, "the lab drives the whole program on real servers"},
	{"internal/scenario", []string{".", "timeline", "shadow", "drift"}, "the test language runs the pure stages"},
	{"internal/histories", []string{".", "timeline"}, "tests read histories as the program does"},
	{"internal", []string{"."}, "what is internal serves everybody"},
	{"shadow", []string{".", "shadow"}, "the model families live below the stage"},
	{"access", []string{"."}, "who asks is made sure of with the nouns alone"},
	{"store/migrate", []string{".", "store/stored", "store/sqlite", "store/postgres"}, "what carries one store over into another knows both"},
	{"store", []string{".", "store/contract", "store/stored"}, "a store knows the nouns and its driver"},
	{"adapter/beam/cmd", []string{".", "adapter/beam"}, "the worker is flags around the pipelines"},
	{"adapter/beam", []string{".", "timeline", "shadow", "drift", "store/postgres"}, "a Beam worker runs the pure cores, on what files or a database keep"},
	{"adapter", []string{"."}, "an adapter knows the nouns and its technology"},
	{"api", []string{"."}, "the API shows the nouns"},
	{"web", []string{"."}, "the pages show the nouns"},
	{"telemetry", []string{"."}, "what measures the daemon knows the nouns, and declares what it asks"},
	{"engine/decisions", []string{"."}, "who decides asks the loop through interfaces of its own, so that either can be read, and tested, without the other"},
	{"engine/inputs", []string{"."}, "what comes in is told from what is made of it: inputs know the loop by interfaces of their own, and no decision"},
	{"engine", []string{".", "engine"}, "the engine declares the interfaces of what it calls, and joins its rooms"},
	{"timeline", []string{"."}, "a stage imports the root, never another stage"},
	{"drift", []string{"."}, "a stage imports the root, never another stage"},
	{"proposal/knowledge", []string{"."}, "what the manuals say knows the nouns, and not who asks"},
	{"proposal", []string{"."}, "a stage imports the root, never another stage"},
	{"remediation", []string{"."}, "a stage imports the root, never another stage"},
	{"events", []string{".", "events"}, "a stage imports the root, never another stage; its log templates live below it"},
	{"anomaly", []string{"."}, "a stage imports the root, never another stage"},
	{"diagnosis", []string{"."}, "a stage imports the root, never another stage"},
	{"guard", []string{".", "api"}, "the guard stands before what the API shows"},
	{"audit", []string{"."}, "what is recorded knows the nouns, and not who asks or acts"},
	{"policy", []string{"."}, "a stage imports the root, never another stage"},
	{"notify", []string{"."}, "who tells people knows the nouns, and declares what it asks of the store and of channels"},
	{".", nil, "the root imports the standard library only"},
}

func TestImportRule(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", module+"/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	packages := 0
	for {
		var p struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages++
		r := ruleFor(t, p.ImportPath)
		for _, imported := range p.Imports {
			if why := refuse(r, p.ImportPath, imported); why != "" {
				t.Errorf("%s imports %s: %s (%s)", p.ImportPath, imported, why, r.why)
			}
		}
	}
	if packages < 2 {
		t.Fatalf("go list found %d packages", packages)
	}
}

// What tests stand on is no part of the program: it would bring flags and code that nobody
// can reach.
func TestTheProgramLinksNoTests(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", module+"/cmd/penumbra").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	linked := strings.Fields(string(out))
	if !slices.Contains(linked, module) {
		t.Fatalf("go list found %d packages, the root not among them", len(linked))
	}
	if slices.Contains(linked, "testing") {
		t.Error("the program links package testing: `go list -deps -json=ImportPath,Imports ./cmd/penumbra` has who imports it")
	}
}

// TestImportRuleOfBeam holds the module of the Beam pipelines to the same rule. Its
// files are parsed, since listing its packages would need all of Beam.
func TestImportRuleOfBeam(t *testing.T) {
	files := 0
	err := filepath.WalkDir(filepath.Join("..", "..", "adapter", "beam"), func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		importer := module + "/" + filepath.ToSlash(filepath.Dir(strings.TrimPrefix(name, filepath.Join("..", "..")+string(filepath.Separator))))
		r := ruleFor(t, importer)
		for _, i := range f.Imports {
			imported, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if why := refuse(r, importer, imported); why != "" {
				t.Errorf("%s imports %s: %s (%s)", name, imported, why, r.why)
			}
		}
		return nil
	})
	if err != nil || files < 2 {
		t.Fatalf("read %d files: %v", files, err)
	}
}

func ruleFor(t *testing.T, path string) rule {
	t.Helper()
	folder := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
	for _, r := range rules {
		if folder == r.folder || strings.HasPrefix(folder, r.folder+"/") || folder == "" && r.folder == "." {
			return r
		}
	}
	t.Fatalf("no import rule for %s: add its folder to the picture in ARCHITECTURE.md and a rule here", path)
	return rule{}
}

// refuse returns why the import breaks the rule, "" if it does not.
func refuse(r rule, importer, imported string) string {
	if imported != module && !strings.HasPrefix(imported, module+"/") {
		if r.folder == "." && strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
			return "not of the standard library"
		}
		return ""
	}
	folder := strings.TrimPrefix(strings.TrimPrefix(imported, module), "/")
	if folder == "" {
		folder = "."
	}
	inCmd := folder == "cmd" || strings.HasPrefix(folder, "cmd/")
	for _, may := range r.may {
		if may == "*" && !inCmd || may == folder || strings.HasPrefix(folder, may+"/") {
			return ""
		}
	}
	if inCmd && r.folder != "cmd" && !strings.HasPrefix(r.folder, "cmd/") {
		return "nobody imports cmd"
	}
	if strings.HasPrefix(folder, "internal/") && !strings.HasPrefix(folder, "internal/scenario") && r.folder != "." {
		return ""
	}
	return "not allowed from here"
}
