package provider

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

func TestSchemasAreValid(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	if diags := serviceSchema().ValidateImplementation(ctx); diags.HasError() {
		t.Error(diags)
	}
	var resp provider.SchemaResponse
	New("test")().Schema(ctx, provider.SchemaRequest{}, &resp)
	if diags := resp.Schema.ValidateImplementation(ctx); diags.HasError() {
		t.Error(diags)
	}
}

func TestCreateWritesWhatIsDeclared(t *testing.T) {
	t.Parallel()
	declared := web(filepath.Join(t.TempDir(), "new", "folder"))
	state := create(t, declared)

	want := `# Configuration of web. Managed as code: edits show up as drift.
listen_port = 8080
memory_mb = 1024
admin_password = secret
tls = true
limits.burst = 100
upstream.0.address = cache:6379
upstream.0.weight = 3
upstream.1.address = database:5432
tag.tier = web
`
	if got := content(t, declared.file()); got != want {
		t.Errorf("file =\n%s\nwant\n%s", got, want)
	}
	if !state.LogLevel.IsNull() || state.Path.ValueString() != declared.file() || len(state.Unmanaged.Elements()) != 0 {
		t.Errorf("state = %+v, want no log level, the path and nothing unmanaged", state)
	}
}

func TestCreateRefusesForeignFile(t *testing.T) {
	t.Parallel()
	declared := web(t.TempDir())
	edit(t, declared.file(), "theirs = 1\n")
	resp := resource.CreateResponse{State: stateOf(t, nil)}
	new(service).Create(t.Context(), resource.CreateRequest{Plan: planOf(t, declared)}, &resp)
	wantError(t, resp.Diagnostics, "already exists", "Import it")
	if got := content(t, declared.file()); got != "theirs = 1\n" {
		t.Errorf("file = %q, want it untouched", got)
	}
}

func TestReadShowsEdits(t *testing.T) {
	t.Parallel()
	declared := web(t.TempDir())
	state := create(t, declared)
	edit(t, declared.file(), `# edited by hand
listen_port = 9090
memory_mb = 1024
admin_password = hunter2
tls = off
log_level = debug
limits.burst = 5
limits.timeout_seconds = 7
limits.colour = red
upstream.1.weight = 2
upstream.01.address = x
tag.tier = web
tag.extra = 1
gzip = on
`)
	state = read(t, state)
	if state.ListenPort.ValueInt64() != 9090 || state.AdminPassword.ValueString() != "hunter2" ||
		state.TLS.ValueBool() || state.LogLevel.ValueString() != "debug" {
		t.Errorf("state = %+v, want the edited scalars", state)
	}
	if state.Limits.Burst.ValueInt64() != 5 || state.Limits.TimeoutSeconds.ValueInt64() != 7 {
		t.Errorf("limits = %+v", state.Limits)
	}
	if len(state.Upstreams) != 1 || !state.Upstreams[0].Address.IsNull() || state.Upstreams[0].Weight.ValueInt64() != 2 {
		t.Errorf("upstreams = %+v, want one without an address", state.Upstreams)
	}
	wantMap(t, "tags", state.Tags, map[string]string{"tier": "web", "extra": "1"})
	wantMap(t, "unmanaged", state.Unmanaged, map[string]string{"gzip": "on", "limits.colour": "red", "upstream.01.address": "x"})
}

func TestReadKeepsEmptyApartFromNull(t *testing.T) {
	t.Parallel()
	declared := web(t.TempDir())
	declared.Limits, declared.Upstreams = &limitsModel{}, []upstreamModel{}
	declared.Tags = types.MapValueMust(types.StringType, map[string]attr.Value{})
	state := read(t, create(t, declared))
	if state.Limits == nil || state.Upstreams == nil || state.Tags.IsNull() {
		t.Errorf("state = %+v, want empty limits, upstreams and tags, not null ones", state)
	}
}

func TestReadOfDeletedFileRemovesResource(t *testing.T) {
	t.Parallel()
	declared := web(t.TempDir())
	state := create(t, declared)
	if err := os.Remove(declared.file()); err != nil {
		t.Fatal(err)
	}
	resp := resource.ReadResponse{State: stateOf(t, state)}
	new(service).Read(t.Context(), resource.ReadRequest{State: stateOf(t, state)}, &resp)
	if resp.Diagnostics.HasError() || !resp.State.Raw.IsNull() {
		t.Errorf("state = %v, %v, want none", resp.State.Raw, resp.Diagnostics)
	}
}

func TestReadExplainsProblems(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"bad line":        {"tls = true\nnonsense\n", []string{"web.conf, line 2", "nonsense", "Write it as key = value"}},
		"bad number":      {"memory_mb = lots\n", []string{"web.conf, line 1", `memory_mb is "lots"`, "Correct the value"}},
		"bad flag":        {"\ntls = maybe\n", []string{"web.conf, line 2", `tls is "maybe"`}},
		"bad limit":       {"limits.burst = 1.5\n", []string{"line 1", "limits.burst"}},
		"bad weight":      {"upstream.0.weight = x\n", []string{"line 1", "upstream.0.weight"}},
		"number too long": {"memory_mb = 99999999999999999999\n", []string{"line 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			declared := web(t.TempDir())
			state := create(t, declared)
			edit(t, declared.file(), tc.text)
			wantError(t, readProblem(t, state), tc.want...)
		})
	}
	t.Run("folder in its place", func(t *testing.T) {
		t.Parallel()
		declared := web(t.TempDir())
		if err := os.Mkdir(declared.file(), 0o700); err != nil {
			t.Fatal(err)
		}
		wantError(t, readProblem(t, declared), "web.conf", "Put a regular file there")
	})
	t.Run("no permission", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() == 0 {
			t.Skip("root may read everything")
		}
		declared := web(t.TempDir())
		state := create(t, declared)
		if err := os.Chmod(declared.file(), 0); err != nil {
			t.Fatal(err)
		}
		wantError(t, readProblem(t, state), "web.conf: permission denied", "Make the file readable")
	})
}

func TestUpdateChangesOnlyWhatIsDeclared(t *testing.T) {
	t.Parallel()
	declared := web(t.TempDir())
	state := create(t, declared)
	edit(t, declared.file(), `# edited by hand
memory_mb   = 8   # not a comment, so not a number either way
`)
	wantError(t, readProblem(t, state), "line 2")
	edit(t, declared.file(), `# edited by hand
gzip = on
  memory_mb   =  8
listen_port = 08080
tls = on
log_level = debug
limits.burst = 1
limits.timeout_seconds = 9
upstream.0.address = cache:6379
upstream.5.address = rogue:1
tag.rogue = 1
`)
	// As the engine does it: the plan is the refreshed state with what is declared on top.
	plan := read(t, state)
	plan.MemoryMB, plan.Limits, plan.Upstreams, plan.Tags = declared.MemoryMB, declared.Limits, declared.Upstreams, declared.Tags
	resp := resource.UpdateResponse{State: stateOf(t, nil)}
	new(service).Update(t.Context(), resource.UpdateRequest{
		Config: tfsdk.Config(stateOf(t, declared)), Plan: planOf(t, plan), State: stateOf(t, plan),
	}, &resp)
	if resp.Diagnostics.HasError() {
		t.Fatal(resp.Diagnostics)
	}
	want := `# edited by hand
gzip = on
  memory_mb   =  1024
listen_port = 08080
tls = on
log_level = debug
limits.burst = 100
upstream.0.address = cache:6379
upstream.0.weight = 3
upstream.1.address = database:5432
admin_password = secret
tag.tier = web
`
	if got := content(t, declared.file()); got != want {
		t.Errorf("file =\n%s\nwant\n%s", got, want)
	}
	after := model(t, resp.State)
	if after.LogLevel.ValueString() != "debug" {
		t.Errorf("log level = %v, want the undeclared edit kept", after.LogLevel)
	}
	wantMap(t, "unmanaged", after.Unmanaged, map[string]string{"gzip": "on"})
}

func TestDelete(t *testing.T) {
	t.Parallel()
	declared := web(t.TempDir())
	state := create(t, declared)
	for range 2 { // the second time there is nothing left, which is fine
		resp := resource.DeleteResponse{State: stateOf(t, state)}
		new(service).Delete(t.Context(), resource.DeleteRequest{State: stateOf(t, state)}, &resp)
		if resp.Diagnostics.HasError() {
			t.Fatal(resp.Diagnostics)
		}
	}
	if _, err := os.Stat(declared.file()); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestImport(t *testing.T) {
	t.Parallel()
	declared := web(t.TempDir())
	create(t, declared)
	resp := resource.ImportStateResponse{State: stateOf(t, nil)}
	new(service).ImportState(t.Context(), resource.ImportStateRequest{ID: declared.file()}, &resp)
	if resp.Diagnostics.HasError() {
		t.Fatal(resp.Diagnostics)
	}
	state := read(t, model(t, resp.State))
	if state.Directory != declared.Directory || state.Name != declared.Name || state.MemoryMB != declared.MemoryMB {
		t.Errorf("state = %+v, want what was created", state)
	}

	resp = resource.ImportStateResponse{State: stateOf(t, nil)}
	new(service).ImportState(t.Context(), resource.ImportStateRequest{ID: "web"}, &resp)
	wantError(t, resp.Diagnostics, "DIRECTORY/NAME.conf")
}

func TestValidators(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]bool{
		"web": false, "web-1.eu": false, "": true, "../web": true, `a\b`: true, ".web": true, "a\nb": true,
	} {
		var resp validator.StringResponse
		fileName{}.ValidateString(t.Context(), validator.StringRequest{
			Path: path.Root("name"), ConfigValue: types.StringValue(name),
		}, &resp)
		if resp.Diagnostics.HasError() != bad {
			t.Errorf("name %q: %v, want an error: %t", name, resp.Diagnostics, bad)
		}
	}
	for key, bad := range map[string]bool{"team": false, "a.b/c": false, "": true, "a b": true, "a=b": true} {
		var resp validator.MapResponse
		tagKeys{}.ValidateMap(t.Context(), validator.MapRequest{
			Path:        path.Root("tags"),
			ConfigValue: types.MapValueMust(types.StringType, map[string]attr.Value{key: types.StringValue("x")}),
		}, &resp)
		if resp.Diagnostics.HasError() != bad {
			t.Errorf("tag %q: %v, want an error: %t", key, resp.Diagnostics, bad)
		}
	}
}

func TestFaultSwitches(t *testing.T) {
	declared := web(t.TempDir())
	state := create(t, declared)

	t.Setenv(delayVariable, "3600000")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	resp := resource.ReadResponse{State: stateOf(t, state)}
	new(service).Read(ctx, resource.ReadRequest{State: stateOf(t, state)}, &resp)
	wantError(t, resp.Diagnostics, "interrupted")

	t.Setenv(delayVariable, "")
	t.Setenv(crashVariable, "read")
	defer func() {
		if said := recover(); said == nil || !strings.Contains(said.(string), crashVariable) {
			t.Errorf("panic = %v, want the one that was asked for", said)
		}
	}()
	readProblem(t, state)
}

// web is a service that declares some of its settings, as a plan to create it holds it.
func web(directory string) *serviceModel {
	return &serviceModel{
		ID: types.StringUnknown(), Path: types.StringUnknown(),
		Directory: types.StringValue(directory), Name: types.StringValue("web"),
		ListenPort: types.Int64Value(8080), MemoryMB: types.Int64Value(1024),
		WorkerProcesses: types.Int64Unknown(), MaxConnections: types.Int64Unknown(),
		LogLevel: types.StringUnknown(), TLS: types.BoolValue(true), AdminPassword: types.StringValue("secret"),
		Tags:   types.MapValueMust(types.StringType, map[string]attr.Value{"tier": types.StringValue("web")}),
		Limits: &limitsModel{Burst: types.Int64Value(100)},
		Upstreams: []upstreamModel{
			{Address: types.StringValue("cache:6379"), Weight: types.Int64Value(3)},
			{Address: types.StringValue("database:5432")},
		},
		Unmanaged: types.MapUnknown(types.StringType),
	}
}

func create(t *testing.T, declared *serviceModel) *serviceModel {
	t.Helper()
	resp := resource.CreateResponse{State: stateOf(t, nil)}
	new(service).Create(t.Context(), resource.CreateRequest{Plan: planOf(t, declared)}, &resp)
	if resp.Diagnostics.HasError() {
		t.Fatal(resp.Diagnostics)
	}
	if !resp.State.Raw.IsFullyKnown() {
		t.Fatalf("state after create = %v, want no unknown value", resp.State.Raw)
	}
	return model(t, resp.State)
}

func read(t *testing.T, state *serviceModel) *serviceModel {
	t.Helper()
	resp := resource.ReadResponse{State: stateOf(t, state)}
	new(service).Read(t.Context(), resource.ReadRequest{State: stateOf(t, state)}, &resp)
	if resp.Diagnostics.HasError() {
		t.Fatal(resp.Diagnostics)
	}
	return model(t, resp.State)
}

func readProblem(t *testing.T, state *serviceModel) diag.Diagnostics {
	t.Helper()
	resp := resource.ReadResponse{State: stateOf(t, state)}
	new(service).Read(t.Context(), resource.ReadRequest{State: stateOf(t, state)}, &resp)
	return resp.Diagnostics
}

// stateOf makes a state of a model; nil makes the state of a resource that does not exist.
func stateOf(t *testing.T, m *serviceModel) tfsdk.State {
	t.Helper()
	schema := serviceSchema()
	state := tfsdk.State{Schema: schema, Raw: tftypes.NewValue(schema.Type().TerraformType(t.Context()), nil)}
	if m != nil {
		if diags := state.Set(t.Context(), m); diags.HasError() {
			t.Fatal(diags)
		}
	}
	return state
}

func planOf(t *testing.T, m *serviceModel) tfsdk.Plan {
	t.Helper()
	return tfsdk.Plan(stateOf(t, m))
}

func model(t *testing.T, state tfsdk.State) *serviceModel {
	t.Helper()
	m := &serviceModel{}
	if diags := state.Get(t.Context(), m); diags.HasError() {
		t.Fatal(diags)
	}
	return m
}

func edit(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func wantError(t *testing.T, diags diag.Diagnostics, parts ...string) {
	t.Helper()
	var text strings.Builder
	for _, d := range diags.Errors() {
		text.WriteString(d.Summary() + ": " + d.Detail() + "\n")
	}
	if text.Len() == 0 {
		t.Error("no error, want one")
	}
	for _, part := range parts {
		if !strings.Contains(text.String(), part) {
			t.Errorf("errors = %q, want %q in them", text.String(), part)
		}
	}
}

func wantMap(t *testing.T, name string, got types.Map, want map[string]string) {
	t.Helper()
	elements := got.Elements()
	if len(elements) != len(want) {
		t.Errorf("%s = %v, want %v", name, elements, want)
	}
	for key, value := range want {
		if !types.StringValue(value).Equal(elements[key]) {
			t.Errorf("%s[%q] = %v, want %q", name, key, elements[key], value)
		}
	}
}
