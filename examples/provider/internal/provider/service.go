package provider

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/penumbra-iac/penumbra/examples/provider/internal/conf"
)

var (
	_ resource.Resource                = (*service)(nil)
	_ resource.ResourceWithImportState = (*service)(nil)
)

// service is the resource conffile_service.
type service struct{}

func newService() resource.Resource { return &service{} }

// Metadata names the resource.
func (*service) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_service"
}

// Schema describes the resource, see serviceSchema.
func (*service) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = serviceSchema()
}

// Create writes a new file. A file that is already there is refused: it may be somebody's work.
func (*service) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan serviceModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...); resp.Diagnostics.HasError() {
		return
	}
	file := plan.file()
	if _, err := os.Lstat(file); err == nil {
		resp.Diagnostics.AddError("Configuration file already exists",
			fmt.Sprintf("%s is there and was not made by this resource.\n\nImport it with its path as the ID, or move it away.", file))
		return
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		resp.Diagnostics.AddError("Folder of the configuration file cannot be made", err.Error())
		return
	}
	content := &conf.File{}
	content.AddComment("Configuration of " + plan.Name.ValueString() + ". Managed as code: edits show up as drift.")
	resp.Diagnostics.Append(write(&plan, &plan, content)...)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...)
	}
}

// Read parses the file. No file means no resource; a file that cannot be read is an error and
// leaves the state as it was.
func (*service) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	if err := delay(ctx); err != nil {
		resp.Diagnostics.AddError("Reading was interrupted", err.Error())
		return
	}
	crashIf("read")

	var state serviceModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	content, err := conf.Load(state.file())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		resp.Diagnostics.Append(loadProblem(state.file(), err))
		return
	}
	if resp.Diagnostics.Append(state.observe(content)...); resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &state)...)
}

// Update writes what the configuration declares into the file and leaves the rest as it is. A
// file that has gone since the plan is made again.
func (*service) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	crashIf("update")

	// What is declared comes from the configuration: in a plan, an undeclared setting holds the
	// value of the last refresh, and writing it could undo an edit that nobody has seen yet.
	var config, plan serviceModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	content, err := conf.Load(plan.file())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		content = &conf.File{}
	case err != nil:
		resp.Diagnostics.Append(loadProblem(plan.file(), err))
		return
	}
	resp.Diagnostics.Append(write(&config, &plan, content)...)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...)
	}
}

// Delete removes the file. The folder stays: others may keep their files there.
func (*service) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state serviceModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	if err := os.Remove(state.file()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		resp.Diagnostics.AddError("Configuration file cannot be removed", err.Error())
	}
}

// ImportState takes the path of a file, DIRECTORY/NAME.conf, as the ID.
func (*service) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	name, isConf := strings.CutSuffix(filepath.Base(req.ID), extension)
	if !isConf || name == "" {
		resp.Diagnostics.AddError("Not a configuration file",
			fmt.Sprintf("The ID %q does not look like DIRECTORY/NAME%s.", req.ID, extension))
		return
	}
	directory := strings.TrimSuffix(req.ID, filepath.Base(req.ID))
	if directory = strings.TrimSuffix(directory, "/"); directory == "" {
		directory = "."
	}
	state := serviceModel{
		Directory: types.StringValue(directory), Name: types.StringValue(name),
		Tags: types.MapNull(types.StringType), Unmanaged: types.MapNull(types.StringType),
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &state)...)
}

// write stores the file with what declared asks for, and completes the plan from the result.
func write(declared, plan *serviceModel, content *conf.File) diag.Diagnostics {
	var diags diag.Diagnostics
	if err := declared.declare(content); err != nil {
		diags.AddError("Setting cannot be written", err.Error())
		return diags
	}
	if diags.Append(plan.settle(content)...); diags.HasError() {
		return diags
	}
	if err := conf.Store(plan.file(), content); err != nil {
		diags.AddError("Configuration file cannot be written", fmt.Sprintf("%s: %s.", plan.file(), reason(err)))
	}
	return diags
}
