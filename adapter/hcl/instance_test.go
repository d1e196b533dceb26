package hcl

import (
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func TestInstance(t *testing.T) {
	t.Parallel()
	const fleet = `resource "svc" "web" {
  for_each = toset(["a", "b"])

  memory = 1024 # each
  tags   = merge(local.tags, { tier = "web" })
}

resource "svc" "pool" {
  count = 3
  size  = var.size
}

resource "svc" "own" {
  for_each = { a = { size = 1 }, b = { size = 2 } }
  size     = each.value.size
}
`
	for _, c := range []struct {
		name    string
		address penumbra.Address
		path    string
		value   penumbra.Value
		want    string // a line of the patched code, "" if it is refused
	}{
		{"shared literal", `s/svc.web["a"]`, "memory", penumbra.Number(9), `  memory = lookup({ a = 9 }, each.key, 1024) # each`},
		{"entry of a shared map", `s/svc.web["b"]`, "tags.tier", penumbra.String("x"), `  tags   = merge(local.tags, { tier = "web" }, lookup({ b = { tier = "x" } }, each.key, {}))`},
		{"counted", `s/svc.pool[1]`, "size", penumbra.Number(7), `  size  = lookup({ "1" = 7 }, count.index, var.size)`},
		{"undeclared", `s/svc.pool[2]`, "level", penumbra.String("debug"), `  level = lookup({ "2" = "debug" }, count.index, null)`},
		{"removed from one", `s/svc.web["a"]`, "memory", penumbra.Null(), `  memory = each.key == "a" ? null : (1024) # each`},
		{"an entry of its own is edited in place", `s/svc.own["a"]`, "size", penumbra.Number(5), `  for_each = { a = { size = 5 }, b = { size = 2 } }`},
		{"a secret", `s/svc.web["a"]`, "password", penumbra.String("hunter2"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			writeFile(t, dir, "main.tf", []byte(fleet))
			writeFile(t, dir, "vars.tf", []byte("variable \"size\" {\n  default = 2\n}\nlocals {\n  tags = { team = \"pay\" }\n}\n"))
			patch, err := Instance(dir, "s", c.address, []penumbra.Setting{{Path: c.path, Value: c.value}})
			if c.want == "" {
				if penumbra.KindOf(err) != penumbra.Refused {
					t.Fatalf("got %v, want it refused", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(patch.Files) != 1 || !strings.Contains(patch.Files[0].After, c.want+"\n") {
				t.Errorf("want the line\n%s\nin %+v", c.want, patch.Files)
			}
		})
	}
}
