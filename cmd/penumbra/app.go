package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"os/user"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
)

// app is the program: its streams and the flags that all verbs share.
type app struct {
	in       io.Reader
	out, err io.Writer

	configName string
	data       string
	output     string
	verbose    bool
	by         string
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
	flags.StringVarP(&a.configName, "config", "c", "", "configuration file (default: penumbra.yaml here or above)")
	flags.StringVar(&a.data, "data", "", "data directory (default: .penumbra beside the configuration)")
	flags.StringVarP(&a.output, "output", "o", "human", "output format: human or json")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log what is done to standard error")
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
	)
	root.AddCommand(
		a.initCommand(), a.serveCommand(), a.checkCommand(), a.statusCommand(), a.shadowCommand(), a.explainCommand(), a.driftCommand(),
		a.proposalsCommand(), a.approveCommand(), a.rejectCommand(), a.customizeCommand(), a.rollbackCommand(), a.runCommand(),
		a.ingestCommand(), a.exportCommand(), a.mineCommand(), a.backtestCommand(), a.trainCommand(), a.modelCommand(), a.demoCommand(),
	)
	return root
}

// outputs makes sure that the output format asked for is one that a verb has.
func (a *app) outputs(formats ...string) error {
	if slices.Contains(formats, a.output) {
		return nil
	}
	return &penumbra.Error{Kind: penumbra.Invalid, What: "--output " + a.output + " is not a format of this command", Remedy: "use " + strings.Join(formats, ", ")}
}

// config reads the configuration and applies the flags over it.
func (a *app) config() (*config, error) {
	c, err := loadConfig(a.configName)
	if err != nil {
		return nil, err
	}
	if a.data != "" {
		c.Data, err = absolute(a.data)
	}
	return c, err
}

// person is who decides: the user of this machine unless a flag says otherwise.
func (a *app) person() string {
	if a.by != "" {
		return a.by
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "unknown"
}

// json writes x for another program to read.
func (a *app) json(x any) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(x)
}

func (a *app) logger() *slog.Logger {
	level := slog.LevelWarn
	if a.verbose {
		level = slog.LevelInfo
	}
	return a.loggerAt(level)
}

func (a *app) loggerAt(level slog.Level) *slog.Logger {
	return slog.New(tint.NewTextHandler(a.err, &tint.Options{Level: level, TimeFormat: "15:04:05", NoColor: !colour(a.err)}))
}

// colour reports whether w is a terminal whose user wants colour.
func colour(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && isatty.IsTerminal(f.Fd())
}

// interactive reports whether a person can be asked.
func (a *app) interactive() bool {
	f, ok := a.in.(*os.File)
	return ok && isatty.IsTerminal(f.Fd()) && colour(a.out)
}

type style string

const (
	bold   style = "\x1b[1m"
	faint  style = "\x1b[2m"
	red    style = "\x1b[31m"
	green  style = "\x1b[32m"
	yellow style = "\x1b[33m"
	violet style = "\x1b[35m"
	cyan   style = "\x1b[36m"
)

// paint colours text for a terminal, and leaves it plain elsewhere.
func (a *app) paint(s style, text string) string {
	if !colour(a.out) {
		return text
	}
	return string(s) + text + "\x1b[0m"
}

// verdict writes a verdict with a mark, so that colour is never all there is.
func (a *app) verdict(v penumbra.Verdict) string {
	switch v {
	case penumbra.InSync:
		return a.paint(green, "✓ "+v.String())
	case penumbra.Drifted:
		return a.paint(red, "✗ "+v.String())
	case penumbra.Unexpected:
		return a.paint(red, "! "+v.String())
	case penumbra.Impending:
		return a.paint(yellow, "◐ "+v.String())
	case penumbra.NotChecked:
		return a.paint(violet, "? "+v.String())
	case penumbra.Pending:
		return a.paint(cyan, "… "+v.String())
	default:
		return a.paint(faint, "~ "+v.String())
	}
}
