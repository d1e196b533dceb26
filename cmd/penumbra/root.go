package main

import (
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/daemon"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/models"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/timelines"
)

// app is the program.
type app struct{ *console.Console }

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "penumbra",
		Short: "Say what drifted, what is about to, and what to do about it",
		Long: `Penumbra keeps a shadow of every resource of your infrastructure as code: a
probabilistic model of the configuration that it is expected to have. What falls
outside the shadow is drift; what is about to is impending drift. Each drift
gets ranked proposals, and nothing is applied without your approval of the
exact plan shown.`,
		Example: `  penumbra init --stack shop=infra/      # name the code to watch
  penumbra serve                         # watch it, with a page on this machine
  penumbra drift list                    # what needs a person
  penumbra check infra/                  # in CI: exit code 2 on drift`,
		Version:       buildVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&a.ConfigName, "config", "c", "", "configuration file (default: penumbra.yaml here or above)")
	flags.StringVar(&a.Data, "data", "", "data directory (default: .penumbra beside the configuration)")
	flags.StringVarP(&a.Output, "output", "o", "human", "output format: human or json")
	flags.BoolVarP(&a.Verbose, "verbose", "v", false, "log what is done to standard error")
	_ = root.RegisterFlagCompletionFunc("output", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		if cmd.Name() == "check" {
			return checkFormats, cobra.ShellCompDirectiveNoFileComp
		}
		return []string{"human", "json"}, cobra.ShellCompDirectiveNoFileComp
	})
	root.AddGroup(
		&cobra.Group{ID: "watch", Title: "Watch:"},
		&cobra.Group{ID: "resolve", Title: "Resolve:"},
		&cobra.Group{ID: "data", Title: "Timelines:"},
		&cobra.Group{ID: "model", Title: "The model:"},
		&cobra.Group{ID: "access", Title: "Access:"},
	)
	root.AddCommand(
		a.initCommand(), a.checkCommand(), a.statusCommand(), a.shadowCommand(), a.explainCommand(), a.driftCommand(), a.anomaliesCommand(), a.inputsCommand(), a.nodesCommand(),
		a.proposalsCommand(), a.approveCommand(), a.rejectCommand(), a.adoptCommand(), a.movedCommand(), a.customizeCommand(), a.rollbackCommand(), a.runCommand(), a.knowledgeCommand(),
		a.notifyCommand(), a.decisionsCommand(), a.auditCommand(), a.policyCommand(), a.keyCommand(), a.freezeCommand(), a.unfreezeCommand(),
		a.userCommand(), a.tokenCommand(), a.loginCommand(), a.logoutCommand(), a.whoamiCommand(),
		a.ingestCommand(), a.exportCommand(), a.migrateCommand(), a.unmappedCommand(), a.watchCommand(), a.openapiCommand(),
	)
	root.AddCommand(daemon.Commands(a.Console)...)
	root.AddCommand(timelines.Commands(a.Console)...)
	root.AddCommand(models.Commands(a.Console)...)
	return root
}

// version is set by the build.
var version = ""

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
