package api

import (
	"flag"
	"os"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/pb33f/libopenapi"
	"github.com/pb33f/libopenapi-validator/schema_validation"
)

var update = flag.Bool("update", false, "keep the API's description as it is now")

// keptDescription is the API as it was when it was kept last.
const keptDescription = "testdata/openapi.json"

// TestDescriptionIsOpenAPI holds the description against the schema of OpenAPI 3.1.
func TestDescriptionIsOpenAPI(t *testing.T) {
	t.Parallel()
	doc, err := libopenapi.NewDocument(Description("0"))
	if err != nil {
		t.Fatal(err)
	}
	if valid, problems := schema_validation.ValidateOpenAPIDocument(doc); !valid {
		for _, p := range problems {
			t.Errorf("%s: %s", p.Message, p.Reason)
			for _, e := range p.SchemaValidationErrors {
				t.Errorf("  %v", e)
			}
		}
	}
}

// TestNothingIsBroken holds the API against the description that was kept: what a client
// of that asks for, it still gets. What is added breaks nobody; where a client has to
// change, say so in CHANGELOG.md and keep the new one with -update.
func TestNothingIsBroken(t *testing.T) {
	t.Parallel()
	if *update {
		if err := os.WriteFile(keptDescription, append(Description("0"), '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(keptDescription)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := libopenapi.NewDocument(text)
	if err != nil {
		t.Fatal(err)
	}
	now, err := libopenapi.NewDocument(Description("0"))
	if err != nil {
		t.Fatal(err)
	}
	changes, err := libopenapi.CompareDocuments(kept, now)
	if err != nil {
		t.Fatal(err)
	}
	if changes == nil {
		return
	}
	for _, c := range changes.GetAllChanges() {
		if c.Breaking {
			t.Errorf("%s: %s %q became %q", c.Path, c.Property, c.Original, c.New)
		}
	}
}

// TestNoAnswerIsBoundByItsBody: a plan takes minutes, and no deadline of the few bytes
// that asked for it may end it.
func TestNoAnswerIsBoundByItsBody(t *testing.T) {
	t.Parallel()
	a := humachi.New(chi.NewRouter(), config("0"))
	addRoutes(a, undone{})
	n := 0
	for path, item := range a.OpenAPI().Paths {
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if op == nil {
				continue
			}
			if n++; op.BodyReadTimeout >= 0 {
				t.Errorf("%s %s is ended after %s", op.Method, path, op.BodyReadTimeout)
			}
		}
	}
	if n < 40 {
		t.Errorf("%d operations", n)
	}
}
