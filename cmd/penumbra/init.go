package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
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
			if err := a.Outputs("human", "json"); err != nil {
				return err
			}
			path := cmp.Or(a.ConfigName, wire.ConfigFile)
			text, err := newConfig(filepath.Dir(path), stacks)
			if err != nil {
				return err
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
			if a.Output == "json" {
				return a.JSON(map[string]string{"config": path})
			}
			fmt.Fprintf(a.Out, "Wrote %s. Next: `penumbra serve`, or `penumbra check DIR` for one look.\n", path)
			return nil
		},
	}
	cmd.Flags().StringArrayVar(&stacks, "stack", nil, "a stack to watch, as NAME=DIR or DIR; may be repeated (default: the working directory)")
	_ = cmd.MarkFlagDirname("stack")
	return cmd
}

// newConfig returns the text of a configuration in folder, which the folders of
// its stacks are named from.
func newConfig(folder string, stacks []string) (string, error) {
	if len(stacks) == 0 {
		stacks = []string{"."}
	}
	var text strings.Builder
	seen := map[string]bool{}
	for i, s := range stacks {
		name, dir, err := newStack(folder, s)
		if err != nil {
			return "", err
		}
		if seen[name] {
			return "", &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("two stacks are named %q", name), Remedy: "use --stack NAME=DIR to give each a name of its own"}
		}
		seen[name] = true
		if i == 0 {
			text.WriteString(exampleConfig(plainOrQuoted(name), plainOrQuoted(dir)))
			continue
		}
		fmt.Fprintf(&text, "  - name: %s\n    dir: %s\n", plainOrQuoted(name), plainOrQuoted(dir))
	}
	return text.String(), nil
}

// newStack reads NAME=DIR or DIR, and returns the folder as named from another.
func newStack(folder, arg string) (name, dir string, err error) {
	name, dir, named := strings.Cut(arg, "=")
	if !named {
		dir = arg
	}
	abs, err := wire.Absolute(dir)
	if err != nil {
		return "", "", err
	}
	if !named {
		name = filepath.Base(abs)
	}
	if !penumbra.ValidStackName(name) {
		return "", "", &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%q cannot name a stack", name), Remedy: "use --stack NAME=DIR with letters, digits, '.', '_' and '-'"}
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", "", &penumbra.Error{Kind: penumbra.Missing, What: "no folder " + dir, Remedy: "name the folder with the code of stack " + name, Err: err}
	}
	if !hasCode(dir) {
		return "", "", &penumbra.Error{Kind: penumbra.Missing, What: "no *.tf files in " + dir, Remedy: "name the folder with the code of stack " + name}
	}
	if filepath.IsAbs(dir) {
		return name, dir, nil
	}
	if folder, err = wire.Absolute(folder); err == nil {
		dir, err = filepath.Rel(folder, abs)
	}
	return name, filepath.ToSlash(dir), err
}

func hasCode(dir string) bool {
	for _, pattern := range []string{"*.tf", "*.tf.json", "*.tofu", "*.tofu.json"} {
		if code, _ := filepath.Glob(filepath.Join(dir, pattern)); len(code) > 0 {
			return true
		}
	}
	return false
}

// What YAML takes for text without quotes, but for words that mean something
// else to it.
var (
	plainText = regexp.MustCompile(`^[A-Za-z./_][A-Za-z0-9./_-]*$`)
	reserved  = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|null|y|n|\.inf|\.nan)$`)
)

func plainOrQuoted(text string) string {
	if plainText.MatchString(text) && !reserved.MatchString(text) {
		return text
	}
	return strconv.Quote(text)
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
