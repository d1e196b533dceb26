package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
)

func (a *app) loginCommand() *cobra.Command {
	var p passwordFlags
	var user, lasts string
	var withToken bool
	cmd := &cobra.Command{
		Use: "login [SERVER]", GroupID: "access", Short: "Get a token for a daemon on another machine, and keep it",
		Long: `Asks for a name's password, or with --with-token for a token that you have, and
keeps a token for the daemon, readable by you alone. The daemon is the one given,
or that under client.server in penumbra.yaml (PENUMBRA_CLIENT__SERVER), to which
the other verbs then talk with it. PENUMBRA_TOKEN comes before it.

On the daemon's own machine its owner needs no login.`,
		Example: `  penumbra login https://penumbra.example:7676 --user alice
  penumbra login --with-token < token.txt
  PENUMBRA_CLIENT__SERVER=https://penumbra.example:7676 penumbra status`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, server, err := a.remote(args, "")
			if err != nil {
				return err
			}
			n, err := parseLasts(lasts)
			if err != nil {
				return err
			}
			p.stdin = p.stdin || withToken && !a.Interactive()
			token := ""
			if withToken {
				token, err = a.password(&p, "Token: ")
			} else {
				token, err = a.loginByPassword(cmd.Context(), client, &p, user, n)
			}
			if err != nil {
				return err
			}
			return a.keepLogin(cmd.Context(), args, server, strings.TrimSpace(token))
		},
	}
	p.add(cmd)
	cmd.Flags().StringVar(&user, "user", "", "your name there (default: your name here)")
	cmd.Flags().StringVar(&lasts, "expires", "30d", "how long the token holds: 12h, 30d, never")
	cmd.Flags().BoolVar(&withToken, "with-token", false, "keep a token that you have rather than get one by password")
	return cmd
}

func (a *app) loginByPassword(ctx context.Context, client *api.Client, p *passwordFlags, user string, lasts time.Duration) (string, error) {
	if user == "" {
		user = os.Getenv("USER")
	}
	password, err := a.password(p, "Password of "+user+": ")
	if err != nil {
		return "", err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	made, err := client.Login(ctx, api.Login{Name: user, Password: password, Token: "login-" + host, Lasts: lasts})
	return made.Secret, err
}

// keepLogin keeps a token once the daemon has said whose it is.
func (a *app) keepLogin(ctx context.Context, args []string, server, token string) error {
	client, _, err := a.remote(args, token)
	if err != nil {
		return err
	}
	me, err := client.Whoami(ctx)
	if err != nil {
		return err
	}
	path, err := console.KeepLogin(server, token)
	if err != nil {
		return err
	}
	if a.Output == "json" {
		return a.JSON(map[string]any{"server": server, "name": me.Name, "kept_in": path})
	}
	fmt.Fprintf(a.Out, "Logged in to %s as %s, with %s. The token is in %s.\n", server, me.Name, grantsInWords(me.Grants), path)
	return nil
}

// remote returns a client of the daemon named, or configured.
func (a *app) remote(args []string, token string) (*api.Client, string, error) {
	if err := a.Outputs("human", "json"); err != nil {
		return nil, "", err
	}
	c, err := a.Config()
	if err != nil {
		return nil, "", err
	}
	server := c.Client.Server
	if len(args) > 0 {
		server = args[0]
	}
	if server == "" {
		return nil, "", &penumbra.Error{Kind: penumbra.Invalid, What: "no daemon is named", Remedy: "give its address, such as https://penumbra.example:7676, or set client.server in penumbra.yaml"}
	}
	h, err := c.HTTPClient(false)
	if err != nil {
		return nil, "", err
	}
	return api.NewClient(server, token, api.WithHTTPClient(h)), console.Server(server), nil
}

func (a *app) logoutCommand() *cobra.Command {
	return &cobra.Command{
		Use: "logout [SERVER]", GroupID: "access", Short: "Revoke and forget the token that login kept",
		Example: "  penumbra logout https://penumbra.example:7676",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, server, err := a.remote(args, "")
			if err != nil {
				return err
			}
			token, err := console.LoginOf(server)
			if err != nil {
				return err
			}
			if token == "" {
				return &penumbra.Error{Kind: penumbra.NotFound, What: "there is no login to " + server, Remedy: "name the address as it was given to login"}
			}
			client, _, err := a.remote(args, token)
			if err != nil {
				return err
			}
			me, err := client.Whoami(cmd.Context())
			if err == nil && me.Credential != "" {
				_, err = client.RevokeToken(cmd.Context(), me.Credential)
			}
			if err != nil && penumbra.KindOf(err) != penumbra.Refused { // refused: it opens nothing any more
				return err
			}
			if _, err := console.KeepLogin(server, ""); err != nil {
				return err
			}
			return a.Done("logged out of", server)
		},
	}
}

func (a *app) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use: "whoami", GroupID: "access", Short: "Say who you are to the daemon, and what you are granted", Args: cobra.NoArgs,
		Example: "  penumbra whoami\n  penumbra whoami -o json | jq -r .name",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				p, err := s.Whoami(ctx)
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(p)
				}
				fmt.Fprintf(a.Out, "%s, a %s (%s), by %s.\n", p.Name, p.Kind, p.ID, p.Via)
				fmt.Fprintf(a.Out, "Granted: %s.\n", grantsInWords(p.Grants))
				return nil
			})
		},
	}
}
