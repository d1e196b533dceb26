package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
)

func (a *app) initCommand() *cobra.Command {
	var stacks []string
	cmd := &cobra.Command{
		Use:     "init",
		GroupID: "watch",
		Short:   "Write a penumbra.yaml that names the code to watch",
		Long: `Writes penumbra.yaml in the working directory. Each stack is a folder in which
` + "`tofu init` or `terraform init`" + ` was run. Nothing in those folders is changed.

An example of the file:

` + indent(exampleConfig("shop", "infra/")),
		Example: `  penumbra init --stack shop=infra/
  penumbra init --stack web=web/ --stack data=data/prod/`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := a.outputs("human", "json"); err != nil {
				return err
			}
			text, err := a.newConfig(stacks)
			if err != nil {
				return err
			}
			path := a.configName
			if path == "" {
				path = configFile
			}
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if errors.Is(err, fs.ErrExist) {
				return &penumbra.Error{Kind: penumbra.Refused, What: path + " is there already", Remedy: "edit it, or name another with --config"}
			}
			if err != nil {
				return &penumbra.Error{Kind: penumbra.Refused, What: "write " + path, Remedy: "run where you may write, or name another place with --config", Err: err}
			}
			_, err = f.WriteString(text)
			if err := errors.Join(err, f.Close()); err != nil {
				return err
			}
			if a.output == "json" {
				return a.json(map[string]string{"config": path})
			}
			fmt.Fprintf(a.out, "Wrote %s. Next: `penumbra serve`, or `penumbra check DIR` for one look.\n", path)
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&stacks, "stack", nil, "a stack to watch, as NAME=DIR or DIR; may be repeated (default: the working directory)")
	_ = cmd.MarkFlagDirname("stack")
	return cmd
}

func (a *app) newConfig(stacks []string) (string, error) {
	if len(stacks) == 0 {
		stacks = []string{"."}
	}
	var text strings.Builder
	for i, s := range stacks {
		name, dir, named := strings.Cut(s, "=")
		if !named {
			dir = s
			abs, err := absolute(dir)
			if err != nil {
				return "", err
			}
			name = filepath.Base(abs)
		}
		if !penumbra.ValidStackName(name) {
			return "", &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%q cannot name a stack", name), Remedy: "use --stack NAME=DIR with letters, digits, '.', '_' and '-'"}
		}
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return "", &penumbra.Error{Kind: penumbra.Missing, What: "no folder " + dir, Remedy: "name the folder with the code of stack " + name, Err: err}
		}
		if code, _ := filepath.Glob(filepath.Join(dir, "*.tf*")); len(code) == 0 {
			return "", &penumbra.Error{Kind: penumbra.Missing, What: "no *.tf files in " + dir, Remedy: "name the folder with the code of stack " + name}
		}
		if i == 0 {
			text.WriteString(exampleConfig(name, dir))
			continue
		}
		fmt.Fprintf(&text, "  - name: %s\n    dir: %s\n", name, dir)
	}
	return text.String(), nil
}

func exampleConfig(name, dir string) string {
	return fmt.Sprintf(`# Penumbra's configuration. Every key is optional but a stack's name and dir.
listen: 127.0.0.1:7676   # the page and the API; this machine only
confidence: 0.95         # of the expectations that verdicts rest on
schedule:
  every: 5m              # a snapshot of each stack, and sooner when files change
stacks:
  - name: %s
    dir: %s
`, name, dir)
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}
