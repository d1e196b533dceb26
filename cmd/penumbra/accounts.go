package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/access"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
)

// grantFlags are what somebody is to be granted.
type grantFlags struct {
	grants []string
	admin  bool
}

func (f *grantFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.grants, "grant", nil, "a role and where it holds: approver:stack=shop*:env=prod:values; may be repeated")
	_ = cmd.RegisterFlagCompletionFunc("grant", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"viewer", "operator", "approver", "admin", "sender"}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
}

func (f *grantFlags) parse() ([]penumbra.Grant, error) {
	grants := []penumbra.Grant{}
	if f.admin {
		grants = append(grants, penumbra.Grant{Role: penumbra.Admin, Values: true, Logs: true})
	}
	for _, text := range f.grants {
		g, err := access.ParseGrant(text)
		if err != nil {
			return nil, err
		}
		grants = append(grants, g)
	}
	return grants, nil
}

const grantHelp = `
A grant is a role (sender, viewer, operator, approver, admin) and where it holds:
stack=, env= and type= take names with * and commas; values and logs let settings'
values and log records be seen. docs/access.md has more.`

func (a *app) userCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "user", GroupID: "access", Short: "Make and change those who may sign in"}
	cmd.AddCommand(a.addUserCommand(), a.listUsersCommand(), a.grantUserCommand(), a.passwdCommand(),
		a.switchUserCommand("disable", "Let a user sign in no more; their sessions and tokens end", true),
		a.switchUserCommand("enable", "Let a disabled user sign in again", false))
	return cmd
}

func (a *app) addUserCommand() *cobra.Command {
	var f grantFlags
	var p passwordFlags
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Make a user",
		Long: `Makes a user and asks for a password, which is typed twice and not shown.` + "\n" + grantHelp,
		Example: `  penumbra user add alice --admin
  penumbra user add bob --grant approver:stack=shop*:values --grant viewer
  penumbra user add carol --grant viewer --password-stdin < password.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			grants, err := f.parse()
			if err != nil {
				return err
			}
			password, err := a.newPassword(&p)
			if err != nil {
				return err
			}
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				u, err := s.AddAccount(ctx, penumbra.NewAccount{Name: args[0], Password: password, Grants: grants})
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(u)
				}
				return a.Done("a user, "+grantsInWords(u.Grants), u.Name)
			})
		},
	}
	f.add(cmd)
	p.add(cmd)
	cmd.Flags().BoolVar(&f.admin, "admin", false, "grant everything, everywhere")
	return cmd
}

func (a *app) listUsersCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List users with what they may", Args: cobra.NoArgs,
		Example: "  penumbra user list\n  penumbra user list -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				users, err := s.Accounts(ctx)
				if err != nil {
					return err
				}
				header := []any{"USER", "GRANTS", "GROUPS", "SIGNED IN", "STATE"}
				return console.List(a.Console, users, "There are no users. `penumbra user add NAME --admin` makes the first.", header, func(u *penumbra.Account) []any {
					state := "active"
					if !u.Disabled.IsZero() {
						state = "disabled"
					}
					return []any{u.Name, grantsInWords(u.Grants), strings.Join(u.Groups, ", "), since(u.SignedIn), state}
				})
			})
		},
	}
}

func (a *app) grantUserCommand() *cobra.Command {
	var f grantFlags
	cmd := &cobra.Command{
		Use: "grant NAME", Short: "Say what a user may: these grants take the place of those before",
		Long: `Sets what a user may. The grants given are all that the user has then; without any
the user may nothing. Their sessions end, their tokens may no more than they.` + "\n" + grantHelp,
		Example: `  penumbra user grant bob --grant operator:stack=shop
  penumbra user grant bob          # nothing any more`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeUsers,
		RunE: func(cmd *cobra.Command, args []string) error {
			grants, err := f.parse()
			if err != nil {
				return err
			}
			return a.changeUser(cmd, args[0], penumbra.AccountChange{Grants: &grants}, "granted "+grantsInWords(grants))
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.admin, "admin", false, "grant everything, everywhere")
	return cmd
}

func (a *app) switchUserCommand(use, short string, off bool) *cobra.Command {
	return &cobra.Command{
		Use: use + " NAME", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeUsers,
		Example: "  penumbra user " + use + " bob",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeUser(cmd, args[0], penumbra.AccountChange{Disabled: &off}, use+"d")
		},
	}
}

func (a *app) passwdCommand() *cobra.Command {
	var p passwordFlags
	cmd := &cobra.Command{
		Use: "passwd [NAME]", Short: "Set a password, yours without a name; sessions end",
		Long: `Asks for a new password, which is typed twice and not shown. For your own you are
asked for the one you have, too. With --password-stdin the new one is the first
line of what is read, and your present one the second.`,
		Example: "  penumbra user passwd\n  penumbra user passwd bob\n  penumbra user passwd bob --password-stdin < password.txt",
		Args:    cobra.MaximumNArgs(1), ValidArgsFunction: a.completeUsers,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				me, err := s.Whoami(ctx)
				if err != nil {
					return err
				}
				name := me.Name
				if len(args) > 0 {
					name = args[0]
				}
				var c penumbra.AccountChange
				own := strings.EqualFold(me.ID, "user:"+name)
				password, err := a.newPassword(&p)
				if err != nil {
					return err
				}
				if own {
					if c.Current, err = a.currentPassword(&p); err != nil {
						return err
					}
				}
				c.Password = &password
				u, err := s.ChangeAccount(ctx, name, c)
				if err != nil {
					return err
				}
				return a.Done("to sign in with the new password", u.Name)
			})
		},
	}
	p.add(cmd)
	return cmd
}

func (a *app) changeUser(cmd *cobra.Command, name string, c penumbra.AccountChange, done string) error {
	return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
		u, err := s.ChangeAccount(ctx, name, c)
		if err != nil {
			return err
		}
		if a.Output == "json" {
			return a.JSON(u)
		}
		return a.Done(done, u.Name)
	})
}

func (a *app) completeUsers(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.Completing(cmd, func(ctx context.Context, s *console.Service) []string {
		users, _ := s.Accounts(ctx)
		out := make([]string, len(users))
		for i := range users {
			out[i] = users[i].Name
		}
		return out
	})
}

// passwordFlags say where a password comes from: never from the command line, which
// every process on the machine can read.
type passwordFlags struct {
	stdin bool
	lines []string // read from there and not yet used
	read  bool
}

func (p *passwordFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.stdin, "password-stdin", false, "read the password from standard input rather than ask")
}

func (a *app) newPassword(p *passwordFlags) (string, error) {
	first, err := a.password(p, "New password: ")
	if err != nil || p.stdin {
		return first, err
	}
	second, err := a.password(p, "Once more: ")
	if err == nil && first != second {
		err = &penumbra.Error{Kind: penumbra.Invalid, What: "the two passwords differ", Remedy: "try again"}
	}
	return first, err
}

func (a *app) currentPassword(p *passwordFlags) (string, error) {
	return a.password(p, "Present password: ")
}

// password asks for one, or reads a line.
func (a *app) password(p *passwordFlags, prompt string) (string, error) {
	if p.stdin {
		if !p.read {
			text, err := io.ReadAll(io.LimitReader(a.In, 64<<10))
			if err != nil {
				return "", &penumbra.Error{Kind: penumbra.Unavailable, What: "read the password from standard input", Remedy: "send it as a line", Err: err}
			}
			p.lines, p.read = strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), true
		}
		if len(p.lines) == 0 || p.lines[0] == "" {
			return "", &penumbra.Error{Kind: penumbra.Invalid, What: "standard input has no password", Remedy: "send it as a line; the present one, where it is asked for, as the second"}
		}
		line := strings.TrimSuffix(p.lines[0], "\r")
		p.lines = p.lines[1:]
		return line, nil
	}
	f, ok := a.In.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return "", &penumbra.Error{Kind: penumbra.Refused, What: "nobody is there to type a password", Remedy: "use a terminal, or --password-stdin"}
	}
	fmt.Fprint(a.Err, prompt)
	text, err := term.ReadPassword(int(f.Fd()))
	fmt.Fprintln(a.Err)
	return string(text), err
}

// grantsInWords lists grants as they are given.
func grantsInWords(grants []penumbra.Grant) string {
	if len(grants) == 0 {
		return "nothing"
	}
	out := make([]string, len(grants))
	for i, g := range grants {
		out[i] = access.FormatGrant(g)
	}
	return strings.Join(out, ", ")
}

func since(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}
