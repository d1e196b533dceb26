package provider

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/boolplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/mapplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/penumbra-iac/penumbra/examples/provider/internal/conf"
)

// serviceSchema describes conffile_service.
//
// Most settings are optional *and* computed: left out of the configuration, they hold what the
// file says and nothing plans to change them. limits and upstreams are optional only: left out,
// they must be absent from the file.
func serviceSchema() schema.Schema {
	number := func(description string, modifiers ...planmodifier.Int64) schema.Int64Attribute {
		return schema.Int64Attribute{
			Description: description, Optional: true, Computed: true,
			PlanModifiers: append([]planmodifier.Int64{int64planmodifier.UseStateForUnknown()}, modifiers...),
		}
	}
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{
			Description: description, Optional: true, Computed: true,
			PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
		}
	}
	fixed := func(description string) schema.StringAttribute {
		return schema.StringAttribute{
			Description: description, Computed: true,
			PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
		}
	}
	limit := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{Description: description, Optional: true}
	}
	password := text("Password of the administrator.")
	password.Sensitive = true

	return schema.Schema{
		Description: "The configuration file of one service, DIRECTORY/NAME.conf.",
		Attributes: map[string]schema.Attribute{
			"id":   fixed("The path of the file."),
			"path": fixed("The path of the file."),
			"directory": schema.StringAttribute{
				Description: "Folder of the file; made if it does not exist.", Required: true,
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplaceIf(
					otherFolder, folderReplaces, folderReplaces)},
			},
			"name": schema.StringAttribute{
				Description: "Name of the service, and of the file without .conf.", Required: true,
				Validators:    []validator.String{fileName{}},
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"listen_port": number("TCP port that the service listens on.",
				int64planmodifier.RequiresReplaceIfConfigured()),
			"worker_processes": number("Number of worker processes."),
			"max_connections":  number("Connections that the service accepts at the same time."),
			"memory_mb":        number("Memory that the service may use, in MiB."),
			"log_level":        text("The least severe message that is logged, such as info."),
			"tls": schema.BoolAttribute{
				Description: "Whether the service speaks TLS.", Optional: true, Computed: true,
				PlanModifiers: []planmodifier.Bool{boolplanmodifier.UseStateForUnknown()},
			},
			"admin_password": password,
			"tags": schema.MapAttribute{
				Description: "Labels, a line tag.KEY for each.",
				ElementType: types.StringType, Optional: true, Computed: true,
				Validators:    []validator.Map{tagKeys{}},
				PlanModifiers: []planmodifier.Map{mapplanmodifier.UseStateForUnknown()},
			},
			"limits": schema.SingleNestedAttribute{
				Description: "What one client may use, lines limits.*.", Optional: true,
				Attributes: map[string]schema.Attribute{
					"requests_per_second": limit("Requests a second."),
					"burst":               limit("Requests above the rate before one is refused."),
					"timeout_seconds":     limit("Seconds after which a request is abandoned."),
				},
			},
			"upstreams": schema.ListNestedAttribute{
				Description: "Services that requests go to, in order, lines upstream.N.*.", Optional: true,
				NestedObject: schema.NestedAttributeObject{
					Attributes: map[string]schema.Attribute{
						"address": schema.StringAttribute{Description: "Host and port.", Required: true},
						"weight":  limit("Share of the requests, relative to the other upstreams."),
					},
				},
			},
			"unmanaged": schema.MapAttribute{
				Description: "Settings of the file that no other attribute stands for. Never changed.",
				ElementType: types.StringType, Computed: true,
				PlanModifiers: []planmodifier.Map{mapplanmodifier.UseStateForUnknown()},
			},
		},
	}
}

// serviceModel is a conffile_service as the framework passes it.
type serviceModel struct {
	ID              types.String    `tfsdk:"id"`
	Path            types.String    `tfsdk:"path"`
	Directory       types.String    `tfsdk:"directory"`
	Name            types.String    `tfsdk:"name"`
	ListenPort      types.Int64     `tfsdk:"listen_port"`
	WorkerProcesses types.Int64     `tfsdk:"worker_processes"`
	MaxConnections  types.Int64     `tfsdk:"max_connections"`
	MemoryMB        types.Int64     `tfsdk:"memory_mb"`
	LogLevel        types.String    `tfsdk:"log_level"`
	TLS             types.Bool      `tfsdk:"tls"`
	AdminPassword   types.String    `tfsdk:"admin_password"`
	Tags            types.Map       `tfsdk:"tags"`
	Limits          *limitsModel    `tfsdk:"limits"`
	Upstreams       []upstreamModel `tfsdk:"upstreams"`
	Unmanaged       types.Map       `tfsdk:"unmanaged"`
}

type limitsModel struct {
	RequestsPerSecond types.Int64 `tfsdk:"requests_per_second"`
	Burst             types.Int64 `tfsdk:"burst"`
	TimeoutSeconds    types.Int64 `tfsdk:"timeout_seconds"`
}

type upstreamModel struct {
	Address types.String `tfsdk:"address"`
	Weight  types.Int64  `tfsdk:"weight"`
}

// file returns the path of the file that the model stands for.
func (m *serviceModel) file() string {
	return filepath.Join(m.Directory.ValueString(), m.Name.ValueString()+extension)
}

// folderReplaces is the description of otherFolder.
const folderReplaces = "The service is replaced when its file moves to another folder."

// otherFolder asks for a replacement unless the two spellings mean the same folder, as ./etc
// and etc do: an import says one and a configuration often the other.
func otherFolder(_ context.Context, req planmodifier.StringRequest, resp *stringplanmodifier.RequiresReplaceIfFuncResponse) {
	resp.RequiresReplace = filepath.Clean(req.StateValue.ValueString()) != filepath.Clean(req.PlanValue.ValueString())
}

// extension is what the name of each file ends in.
const extension = ".conf"

// fileName refuses names that would leave the directory or hide the file.
type fileName struct{}

// Description says what a name must look like.
func (fileName) Description(context.Context) string {
	return "must be a file name: no slash, no control character, no dot in front"
}

// MarkdownDescription is the same text.
func (v fileName) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString reports a name that is not a file name.
func (v fileName) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	name := req.ConfigValue.ValueString()
	bad := strings.ContainsAny(name, `/\`) || strings.ContainsFunc(name, unicode.IsControl)
	if name == "" || name[0] == '.' || bad {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid name",
			fmt.Sprintf("The name %q %s.", name, v.Description(ctx)))
	}
}

// tagKeys refuses tags whose key could not be written to a file.
type tagKeys struct{}

// Description says what a key must look like.
func (tagKeys) Description(context.Context) string {
	return "keys must not be empty, nor hold spaces or equals signs"
}

// MarkdownDescription is the same text.
func (v tagKeys) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateMap reports the keys that cannot be written.
func (v tagKeys) ValidateMap(ctx context.Context, req validator.MapRequest, resp *validator.MapResponse) {
	for key := range req.ConfigValue.Elements() {
		at := req.Path.AtMapKey(key)
		if key == "" {
			resp.Diagnostics.AddAttributeError(at, "Invalid tag", "A tag needs a key.")
		} else if err := conf.CheckKey(tagPrefix + key); err != nil {
			resp.Diagnostics.AddAttributeError(at, "Invalid tag", err.Error()+": "+v.Description(ctx)+".")
		}
	}
}
