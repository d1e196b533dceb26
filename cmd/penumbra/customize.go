package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
)

func (a *app) customizeCommand() *cobra.Command {
	var sets, files []string
	var edit bool
	cmd := &cobra.Command{
		Use:     "customize PROPOSAL",
		GroupID: "resolve",
		Short:   "Make a proposal of your own: the values or the code you choose, planned and scored",
		Long: `Makes a new proposal that writes the values you choose into the code, or files
of the code as you edited them. It is checked and planned, and shown with what
differs from the proposal that it is made from. A value is JSON (42, true,
"text") or plain text. With --edit your editor ($VISUAL or $EDITOR) opens the
code as the proposal would leave it. Nothing is applied until you approve it.

A plan is made for the drifted resource alone: what an edit changes of others
is written into the code, and not applied.`,
		Example: `  penumbra customize p-81c0aa2e --set max_connections=150
  penumbra customize p-81c0aa2e --set log_level=warn --set tags.team=pay
  penumbra customize p-81c0aa2e --edit
  penumbra customize p-81c0aa2e --file main.tf=edited.tf`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var wanted penumbra.Edit
			var err error
			if wanted.Values, err = parseSets(sets); err != nil {
				return err
			}
			if wanted.Files, err = readEdits(files); err != nil {
				return err
			}
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				if edit {
					if wanted.Files, err = a.editCode(ctx, s, args[0]); err != nil {
						return err
					}
				}
				return a.planned(func() (penumbra.Proposal, error) { return s.Customize(ctx, args[0], wanted, "") })
			})
		},
	}
	cmd.Flags().StringArrayVar(&sets, "set", nil, "a setting's path and value; may be repeated")
	cmd.Flags().StringArrayVar(&files, "file", nil, "a file of the code and one with what it is to be, as PATH=FILE; may be repeated")
	cmd.Flags().BoolVar(&edit, "edit", false, "edit the code that the proposal changes")
	cmd.MarkFlagsOneRequired("set", "file", "edit")
	cmd.MarkFlagsMutuallyExclusive("set", "file", "edit")
	return cmd
}

// readEdits reads PATH=FILE.
func readEdits(files []string) ([]penumbra.FileEdit, error) {
	var out []penumbra.FileEdit
	for _, f := range files {
		path, name, found := strings.Cut(f, "=")
		if !found || path == "" || name == "" {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--file %q", f), Remedy: "write PATH=FILE, such as main.tf=edited.tf"}
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read the edited " + path, Remedy: "check the file's name", Err: err}
		}
		out = append(out, penumbra.FileEdit{Path: path, Content: string(text)})
	}
	return out, nil
}

// editCode has a person edit the files that a proposal changes, as it would leave
// them.
func (a *app) editCode(ctx context.Context, s *console.Service, id string) ([]penumbra.FileEdit, error) {
	editor := cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"))
	if editor == "" {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: "no editor is set", Remedy: "set VISUAL or EDITOR, or give the edited file with --file"}
	}
	p, err := s.Proposal(ctx, id)
	if err != nil {
		return nil, err
	}
	if p.Patch == nil || len(p.Patch.Files) == 0 {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: "proposal " + id + " changes no code to edit", Remedy: "give values with --set, or a file with --file"}
	}
	dir, err := os.MkdirTemp("", "penumbra-edit-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var out []penumbra.FileEdit
	for i, f := range p.Patch.Files {
		name := filepath.Join(dir, fmt.Sprintf("%d-%s", i, filepath.Base(f.Path)))
		if err := os.WriteFile(name, []byte(f.After), 0o600); err != nil {
			return nil, err
		}
		words := strings.Fields(editor) // with its flags
		cmd := exec.CommandContext(ctx, words[0], append(words[1:], name)...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = a.In, a.Err, a.Err
		if err := cmd.Run(); err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Missing, What: "edit " + f.Path + " with " + editor, Remedy: "check VISUAL or EDITOR", Err: err}
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		out = append(out, penumbra.FileEdit{Path: f.Path, Content: string(text)})
	}
	return out, nil
}

// parseSets reads PATH=VALUE, the value as JSON if it is some, else as text.
func parseSets(sets []string) ([]penumbra.Setting, error) {
	var out []penumbra.Setting
	for _, s := range sets {
		x, err := penumbra.ParseAssignment(s)
		if err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--set %q", s), Remedy: "write PATH=VALUE, such as max_connections=150"}
		}
		out = append(out, x)
	}
	return penumbra.NewSettings(out...), nil
}
