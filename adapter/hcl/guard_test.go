package hcl

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func under(path string, n float64) penumbra.Bound {
	return penumbra.Bound{Path: path, Is: penumbra.Below, Value: penumbra.Number(n), Message: "Keep ${it} \"low\"."}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	const message = `error_message = "Keep $${it} \"low\"."`
	for _, c := range []struct {
		name, code, address string
		bound               penumbra.Bound
		added               []string // lines that the patch adds, without white space at their ends
	}{
		{"a literal", "resource \"svc\" \"web\" {\n  memory_mb = 512\n}\n", "svc.web", under("memory_mb", 1024), []string{
			"", "  lifecycle {", "    postcondition {", "      condition     = self.memory_mb < 1024", "      " + message, "    }", "  }",
		}},
		{"a lifecycle on one line", "resource \"svc\" \"web\" {\n  memory_mb = 512\n  lifecycle { prevent_destroy = true }\n}\n", "svc.web", under("memory_mb", 1024), []string{
			"  lifecycle {", "    prevent_destroy = true", "", "    postcondition {", "      condition     = self.memory_mb < 1024", "      " + message, "    }", "  }",
		}},
		{"a variable of its own", "variable \"mem\" {\n  type = number\n}\nresource \"svc\" \"web\" {\n  memory_mb = var.mem\n}\n", "svc.web", under("memory_mb", 1024), []string{
			"", "  validation {", "    condition     = var.mem < 1024", "    " + message, "  }",
		}},
		{"a variable that others use too", "variable \"mem\" {\n  type = number\n}\nresource \"svc\" \"web\" {\n  memory_mb = var.mem\n}\noutput \"m\" {\n  value = var.mem\n}\n", "svc.web", under("memory_mb", 1024), []string{
			"", "  lifecycle {", "    postcondition {", "      condition     = self.memory_mb < 1024", "      " + message, "    }", "  }",
		}},
		{"one of several", "resource \"svc\" \"web\" {\n  for_each  = toset([\"a\", \"b\"])\n  memory_mb = 512\n}\n", `svc.web["b"]`, under("memory_mb", 1024), []string{
			"", "  lifecycle {", "    postcondition {", `      condition     = each.key != "b" || self.memory_mb < 1024`, "      " + message, "    }", "  }",
		}},
		{"a tag", "resource \"svc\" \"web\" {\n  tags = { team = \"pay\" }\n}\n", "svc.web", penumbra.Bound{Path: "tags.team", Is: penumbra.Unequal, Value: penumbra.String("x"), Message: "Keep ${it} \"low\"."}, []string{
			"", "  lifecycle {", "    postcondition {", `      condition     = self.tags["team"] != "x"`, "      " + message, "    }", "  }",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(c.code), 0o600); err != nil {
				t.Fatal(err)
			}
			address := penumbra.Address("shop/" + c.address)
			patch, err := Guard(dir, "shop", address, []penumbra.Bound{c.bound}, nil)
			if err != nil || len(patch.Files) != 1 {
				t.Fatalf("%+v, %v", patch, err)
			}
			var added []string
			for line := range strings.Lines(patch.Files[0].Diff) {
				if strings.HasPrefix(line, "+") && !strings.HasPrefix(line, "+++") {
					added = append(added, strings.TrimRight(line[1:], " \n"))
				}
			}
			if strings.Join(added, "\n") != strings.Join(c.added, "\n") {
				t.Fatalf("added:\n%s\nwant:\n%s", strings.Join(added, "\n"), strings.Join(c.added, "\n"))
			}
			if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(patch.Files[0].After), 0o600); err != nil {
				t.Fatal(err)
			}
			again, err := Guard(dir, "shop", address, []penumbra.Bound{c.bound}, nil)
			if err != nil || len(again.Files) != 0 {
				t.Fatalf("a second time: %+v, %v", again, err)
			}
		})
	}
}

func TestGuardTrialAndRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	code := "resource \"svc\" \"web\" {\n  memory_mb = 512\n\n  lifecycle {\n    ignore_changes = [port]\n  }\n}\n"
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	trial := []penumbra.Setting{{Path: "memory_mb", Value: penumbra.Number(2048)}}
	patch, err := Guard(dir, "shop", "shop/svc.web", []penumbra.Bound{under("memory_mb", 1024)}, trial)
	if err != nil || len(patch.Files) != 1 || !strings.Contains(patch.Files[0].After, "memory_mb = 2048") || !strings.Contains(patch.Files[0].After, "self.memory_mb < 1024") {
		t.Fatalf("%+v, %v", patch, err)
	}
	for _, b := range []penumbra.Bound{
		under("port", 80), // its changes are ignored
		{Path: "password", Is: penumbra.Unequal, Value: penumbra.String("hunter2-hunter2"), Message: "No."},
	} {
		if _, err := Guard(dir, "shop", "shop/svc.web", []penumbra.Bound{b}, nil); penumbra.KindOf(err) != penumbra.Refused {
			t.Errorf("%s: %v", b.Path, err)
		}
	}
}

func TestNumbersAreBounded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"1e999999": "", "-1e999999": "", "1e3": "1000", "0.1": "0.1", "12345678901234567890": "12345678901234567890", "1e-999999": ""} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte("resource \"svc\" \"web\" {\n  size = "+text+"\n}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := open(dir).locate("shop/svc.web")
		if err != nil {
			t.Fatal(err)
		}
		at, err := s.find()
		if err != nil {
			t.Fatal(err)
		}
		v, ok := literalExpr(at.block.Body.Attributes["size"].Expr)
		if ok != (want != "") || ok && v.Text() != want {
			t.Errorf("%s is read as %.40q, %v", text, v.Text(), ok)
		}
	}
}
