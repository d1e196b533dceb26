package provider

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/penumbra-iac/penumbra/examples/provider/internal/conf"
)

var (
	_ resource.Resource                = (*gateway)(nil)
	_ resource.ResourceWithImportState = (*gateway)(nil)
)

// gateway is the resource conffile_gateway. It has what conffile_service has
// not: nested blocks, single and repeated, a list of strings and long texts.
// What its configuration leaves out must be absent from the file.
type gateway struct{}

func newGateway() resource.Resource { return &gateway{} }

// Metadata names the resource.
func (*gateway) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_gateway"
}

// Schema describes the resource.
func (*gateway) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	place := func(description string) schema.StringAttribute {
		return schema.StringAttribute{
			Description: description, Required: true,
			PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
		}
	}
	name := place("Name of the gateway, and of the file without .conf.")
	name.Validators = append(name.Validators, fileName{})
	number := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{Description: description, Optional: true}
	}
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Description: description, Optional: true}
	}
	resp.Schema = schema.Schema{
		Description: "The configuration file of one gateway, DIRECTORY/NAME.conf.",
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Description: "The path of the file.", Computed: true,
				PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
			},
			"directory": place("Folder of the file; made if it does not exist."),
			"name":      name,
			"port":      number("TCP port that the gateway listens on."),
			"banner":    text("Text that the gateway greets with; may have lines."),
			"policy":    text("Who may pass, as JSON."),
			"hosts": schema.ListAttribute{
				Description: "Names that the gateway answers to, lines host.N.", ElementType: types.StringType, Optional: true,
			},
		},
		Blocks: map[string]schema.Block{
			"timeouts": schema.SingleNestedBlock{
				Description: "Seconds to wait, lines timeouts.NAME.",
				Attributes:  map[string]schema.Attribute{"connect": number("For a connection."), "read": number("For an answer.")},
			},
			"route": schema.ListNestedBlock{
				Description: "Where requests go to, in order, lines route.N.*.",
				NestedObject: schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
					"prefix": text("Start of the path."), "to": text("Host and port."), "weight": number("Share of the requests."),
				}},
			},
		},
	}
}

// gatewayModel is a conffile_gateway as the framework passes it.
type gatewayModel struct {
	ID        types.String   `tfsdk:"id"`
	Directory types.String   `tfsdk:"directory"`
	Name      types.String   `tfsdk:"name"`
	Port      types.Int64    `tfsdk:"port"`
	Banner    types.String   `tfsdk:"banner"`
	Policy    types.String   `tfsdk:"policy"`
	Hosts     []types.String `tfsdk:"hosts"`
	Timeouts  *timeoutsModel `tfsdk:"timeouts"`
	Routes    []routeModel   `tfsdk:"route"`
}

type timeoutsModel struct {
	Connect types.Int64 `tfsdk:"connect"`
	Read    types.Int64 `tfsdk:"read"`
}

type routeModel struct {
	Prefix types.String `tfsdk:"prefix"`
	To     types.String `tfsdk:"to"`
	Weight types.Int64  `tfsdk:"weight"`
}

func (m *gatewayModel) file() string {
	return filepath.Join(m.Directory.ValueString(), m.Name.ValueString()+extension)
}

// observe sets every setting of the model to what the file says.
func (m *gatewayModel) observe(r *reader) {
	m.ID = types.StringValue(m.file())
	m.Port, m.Banner, m.Policy = r.number("port", path.Root("port")), r.text("banner"), r.text("policy")
	m.Hosts = nil
	for i := 0; ; i++ {
		host := r.text("host." + strconv.Itoa(i))
		if host.IsNull() {
			break
		}
		m.Hosts = append(m.Hosts, host)
	}
	timeouts := timeoutsModel{
		Connect: r.number("timeouts.connect", path.Root("timeouts").AtName("connect")),
		Read:    r.number("timeouts.read", path.Root("timeouts").AtName("read")),
	}
	if m.Timeouts = nil; timeouts != (timeoutsModel{}) {
		m.Timeouts = &timeouts
	}
	m.Routes = []routeModel{}
	for i := 0; ; i++ {
		at := "route." + strconv.Itoa(i) + "."
		route := routeModel{Prefix: r.text(at + "prefix"), To: r.text(at + "to"), Weight: r.number(at+"weight", path.Root("route").AtListIndex(i).AtName("weight"))}
		if route == (routeModel{}) {
			break
		}
		m.Routes = append(m.Routes, route)
	}
}

// declare writes the model into a file; a key that stands for nothing in it goes.
func (m *gatewayModel) declare(file *conf.File) error {
	want := map[string]string{}
	text := func(key string, v types.String) {
		if known(v) {
			want[key] = v.ValueString()
		}
	}
	number := func(key string, v types.Int64) {
		if known(v) {
			want[key] = strconv.FormatInt(v.ValueInt64(), 10)
		}
	}
	number("port", m.Port)
	text("banner", m.Banner)
	text("policy", m.Policy)
	for i, host := range m.Hosts {
		text("host."+strconv.Itoa(i), host)
	}
	if m.Timeouts != nil {
		number("timeouts.connect", m.Timeouts.Connect)
		number("timeouts.read", m.Timeouts.Read)
	}
	for i, route := range m.Routes {
		at := "route." + strconv.Itoa(i) + "."
		text(at+"prefix", route.Prefix)
		text(at+"to", route.To)
		number(at+"weight", route.Weight)
	}
	for _, key := range file.Keys() {
		if _, wanted := want[key]; !wanted {
			file.Delete(key)
		}
	}
	var failed []error
	for _, key := range sortedKeys(want) {
		failed = append(failed, file.Set(key, want[key]))
	}
	return errors.Join(failed...)
}

// Create writes a new file. A file that is already there is refused: it may be
// somebody's work.
func (g *gateway) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan gatewayModel
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
	if err := plan.store(content); err != nil {
		resp.Diagnostics.AddError("Configuration file cannot be written", err.Error())
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...)
}

func (m *gatewayModel) store(content *conf.File) error {
	m.ID = types.StringValue(m.file())
	if err := m.declare(content); err != nil {
		return err
	}
	return conf.Store(m.file(), content)
}

// Read parses the file. No file means no resource.
func (*gateway) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state gatewayModel
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
	r := &reader{file: content, path: state.file(), used: map[string]bool{}}
	state.observe(r)
	if resp.Diagnostics.Append(r.diags...); resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &state)...)
}

// Update writes what the configuration declares into the file.
func (*gateway) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan gatewayModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...); resp.Diagnostics.HasError() {
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
	if err := plan.store(content); err != nil {
		resp.Diagnostics.AddError("Configuration file cannot be written", err.Error())
		return
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, &plan)...)
}

// Delete removes the file and leaves the folder.
func (*gateway) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state gatewayModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &state)...); resp.Diagnostics.HasError() {
		return
	}
	if err := os.Remove(state.file()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		resp.Diagnostics.AddError("Configuration file cannot be removed", err.Error())
	}
}

// ImportState takes the path of a file, DIRECTORY/NAME.conf, as the ID.
func (*gateway) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	name, isConf := strings.CutSuffix(filepath.Base(req.ID), extension)
	if !isConf || name == "" {
		resp.Diagnostics.AddError("Not a configuration file", fmt.Sprintf("The ID %q does not look like DIRECTORY/NAME%s.", req.ID, extension))
		return
	}
	state := gatewayModel{Directory: types.StringValue(filepath.Dir(req.ID)), Name: types.StringValue(name), Routes: []routeModel{}}
	resp.Diagnostics.Append(resp.State.Set(ctx, &state)...)
}
