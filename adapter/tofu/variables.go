package tofu

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// variables returns the values that are given to the root module, the later
// source over the earlier as the tools have it: the environment, the files that
// are read by themselves, and the files named. All are unknown where values may
// come from elsewhere: from arguments that the environment adds, or from a
// service that runs the plan.
func (w *Workspace) variables(m *module) map[string]cty.Value {
	out := make(map[string]cty.Value)
	unknown := w.backend() == "remote" || w.backend() == "cloud"
	for _, setting := range w.environment() {
		name, value, _ := strings.Cut(setting, "=")
		if strings.HasPrefix(name, "TF_CLI_ARGS") && strings.Contains(value, "-var") {
			unknown = true
		}
		if name, ok := strings.CutPrefix(name, "TF_VAR_"); ok && m.variables[name] != nil {
			out[name] = fromText(value, m.variables[name])
		}
	}
	if unknown {
		for name := range m.variables {
			out[name] = cty.DynamicVal
		}
		return out
	}
	files := []string{"terraform.tfvars", "terraform.tfvars.json"}
	entries, _ := os.ReadDir(w.dir) // sorted by name
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".auto.tfvars") || strings.HasSuffix(name, ".auto.tfvars.json") {
			files = append(files, name)
		}
	}
	for _, file := range slices.Concat(files, w.config.VarFiles) {
		readVariables(out, w.abs(file))
	}
	return out
}

func readVariables(into map[string]cty.Value, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		return
	}
	parse := hclparse.NewParser().ParseHCL
	if strings.HasSuffix(path, ".json") {
		parse = hclparse.NewParser().ParseJSON
	}
	file, _ := parse(data, path)
	if file == nil {
		return
	}
	attributes, _ := file.Body.JustAttributes()
	for name, a := range attributes {
		v, diags := a.Expr.Value(nil)
		if diags.HasErrors() {
			v = cty.DynamicVal
		}
		into[name] = v
	}
}

// fromText reads a variable's value from the environment: text as it is for a
// variable of a simple type or of none, else an expression.
func fromText(text string, body *hclsyntax.Body) cty.Value {
	a := body.Attributes["type"]
	if a == nil {
		return cty.StringVal(text)
	}
	typ, diags := typeexpr.TypeConstraint(a.Expr)
	if diags.HasErrors() {
		return cty.DynamicVal
	}
	if typ.IsPrimitiveType() {
		return cty.StringVal(text)
	}
	e, diags := hclsyntax.ParseExpression([]byte(text), "", hcl.InitialPos)
	if diags.HasErrors() {
		return cty.DynamicVal
	}
	v, diags := e.Value(nil)
	if diags.HasErrors() {
		return cty.DynamicVal
	}
	return v
}

// backend returns the type of the backend that `init` set up.
func (w *Workspace) backend() string {
	var saved struct {
		Backend struct{ Type string }
	}
	data, err := os.ReadFile(filepath.Join(w.abs(w.toolData()), "terraform.tfstate"))
	if err != nil || json.Unmarshal(data, &saved) != nil || saved.Backend.Type == "" {
		return "local"
	}
	return saved.Backend.Type
}

// workspaceName returns the workspace that is selected.
func (w *Workspace) workspaceName() string {
	name := ""
	for _, setting := range w.environment() {
		if value, ok := strings.CutPrefix(setting, "TF_WORKSPACE="); ok {
			name = value
		}
	}
	if name == "" {
		data, _ := os.ReadFile(filepath.Join(w.abs(w.toolData()), "environment"))
		name = strings.TrimSpace(string(data))
	}
	if name == "" {
		return "default"
	}
	return name
}
