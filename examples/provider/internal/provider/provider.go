// Package provider is the conffile provider: how OpenTofu and Terraform see the configuration
// files that package conf reads and writes.
//
// It guarantees that a setting which the configuration does not declare is reported and never
// changed, so that each hand edit of a file appears as drift of one attribute.
package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
)

// Address is the source address of the provider. Its explicit host keeps OpenTofu and
// Terraform, whose default registries differ, looking in the same place.
const Address = "penumbra.example/examples/conffile"

var _ provider.Provider = (*conffile)(nil)

// conffile is the provider; it has nothing to configure.
type conffile struct {
	version string
}

// New returns a function that makes the provider, as the plugin server wants it.
func New(version string) func() provider.Provider {
	return func() provider.Provider { return &conffile{version: version} }
}

// Metadata names the provider.
func (p *conffile) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "conffile"
	resp.Version = p.version
}

// Schema describes the provider block, which takes no arguments.
func (p *conffile) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		Description: "Keeps the configuration files of services on disk.",
	}
}

// Configure has nothing to do.
func (p *conffile) Configure(context.Context, provider.ConfigureRequest, *provider.ConfigureResponse) {
}

// Resources lists the kinds of resource.
func (p *conffile) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{newService, newGateway}
}

// DataSources is empty.
func (p *conffile) DataSources(context.Context) []func() datasource.DataSource {
	return nil
}
