package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
)

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "token", GroupID: "access", Short: "Make, list and revoke tokens"}
	cmd.AddCommand(a.createTokenCommand(), a.listTokensCommand(), a.revokeTokenCommand())
	return cmd
}

func (a *app) createTokenCommand() *cobra.Command {
	var f grantFlags
	var kind, lasts string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a token; it is shown once",
		Long: `Makes a token: of your own (--kind person), of a program such as CI (service), or of
what sends logs, metrics or observations (source). Only the token is printed to
standard output, and nowhere else is it kept: only a hash of it is.

Yours may what you may, or what --grant leaves of that. Tokens of services and
sources are made by admins; what a person has to decide, they cannot.` + "\n" + grantHelp,
		Example: `  penumbra token create ci --kind service --grant operator:stack=shop --expires 30d
  penumbra token create fluentbit --kind source --expires never
  PENUMBRA_TOKEN=$(penumbra token create laptop --kind person)`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n := penumbra.NewToken{Name: args[0], Kind: penumbra.PrincipalKind(kind)}
			var err error
			if n.Grants, err = f.parse(); err != nil {
				return err
			}
			if n.Lasts, err = parseLasts(lasts); err != nil {
				return err
			}
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				made, err := s.AddToken(ctx, n)
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(made)
				}
				fmt.Fprintf(a.Err, "Token %s of %s %s, %s. It is not shown again:\n", made.Token.ID, made.Token.Kind, made.Token.Name, ends(made.Token.Expires))
				fmt.Fprintln(a.Out, made.Secret)
				return nil
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&kind, "kind", "person", "whose it is: person (you), service or source")
	cmd.Flags().StringVar(&lasts, "expires", "90d", "how long it holds: 12h, 90d, never")
	_ = cmd.RegisterFlagCompletionFunc("kind", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"person", "service", "source"}, cobra.ShellCompDirectiveNoFileComp
	})
	_ = cmd.RegisterFlagCompletionFunc("expires", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"12h", "7d", "30d", "90d", "365d", "never"}, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// parseLasts reads how long a token holds; 0 is for ever.
func parseLasts(text string) (time.Duration, error) {
	if text == "never" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n <= 3650 {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	} else if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return d, nil
	}
	return 0, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("--expires %q", text), Remedy: "write 12h, 90d, or never"}
}

func ends(t time.Time) string {
	if t.IsZero() {
		return "without an end"
	}
	return "until " + t.UTC().Format(time.RFC3339)
}

func (a *app) listTokensCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "list", Short: "List tokens: yours, everybody's for an admin", Args: cobra.NoArgs,
		Example: "  penumbra token list\n  penumbra token list --all -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				tokens, err := s.Tokens(ctx)
				if err != nil {
					return err
				}
				var shown []penumbra.Token
				for _, t := range tokens {
					if all || tokenState(&t, time.Now()) == "active" {
						shown = append(shown, t)
					}
				}
				header := []any{"TOKEN", "NAME", "KIND", "OF", "GRANTS", "USED", "ENDS", "STATE"}
				return console.List(a.Console, shown, "There are no tokens. `penumbra token create NAME` makes one.", header, func(x *penumbra.Token) []any {
					grants := grantsInWords(x.Grants)
					if len(x.Grants) == 0 {
						grants = "all of its owner's"
					}
					end := "never"
					if !x.Expires.IsZero() {
						end = since(x.Expires)
					}
					return []any{x.ID, x.Name, x.Kind, strings.TrimPrefix(x.Owner, "user:"), grants, since(x.Used), end, tokenState(x, time.Now())}
				})
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "expired and revoked ones too")
	return cmd
}

func tokenState(t *penumbra.Token, now time.Time) string {
	switch {
	case !t.Revoked.IsZero():
		return "revoked"
	case !t.Expires.IsZero() && !now.Before(t.Expires):
		return "expired"
	default:
		return "active"
	}
}

func (a *app) revokeTokenCommand() *cobra.Command {
	return &cobra.Command{
		Use: "revoke TOKEN", Short: "End a token at once, for good, by its identifier", Args: cobra.ExactArgs(1),
		Example: "  penumbra token revoke 4f2a9c0d11e7",
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return a.Completing(cmd, func(ctx context.Context, s *console.Service) []string {
				tokens, _ := s.Tokens(ctx)
				var out []string
				for _, t := range tokens {
					if tokenState(&t, time.Now()) == "active" {
						out = append(out, t.ID+"\t"+t.Name)
					}
				}
				return out
			})
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				t, err := s.RevokeToken(ctx, args[0])
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(t)
				}
				return a.Done("revoked", t.ID)
			})
		},
	}
}
