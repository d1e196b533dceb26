// Command terraform-provider-conffile is an OpenTofu and Terraform provider that keeps the
// configuration files of services on disk.
//
// It exists so that the examples and the end-to-end tests of Penumbra have real resources that
// anybody can run and edit by hand, without an account anywhere. README.md describes the
// resource and the switches that inject faults.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/penumbra-iac/penumbra/examples/provider/internal/provider"
)

// version must match the folder that the provider is installed in, see scripts/provider.sh.
const version = "0.1.0"

func main() {
	debug := flag.Bool("debug", false, "wait for a debugger; prints how to attach tofu or terraform")
	flag.Parse()

	err := providerserver.Serve(context.Background(), provider.New(version), providerserver.ServeOpts{
		Address: provider.Address,
		Debug:   *debug,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "terraform-provider-conffile:", err)
		os.Exit(1)
	}
}
