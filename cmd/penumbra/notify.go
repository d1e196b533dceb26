package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
)

// noticeStates are those that a list can be narrowed to.
var noticeStates = []string{string(penumbra.NoticeWaiting), string(penumbra.NoticeHeld), string(penumbra.NoticeSent), string(penumbra.NoticeDead), string(penumbra.NoticeFolded)}

func (a *app) notifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "notify", GroupID: "watch", Short: "See what people are told through which channel, test channels, send again",
		Long: `Shows the channels of ` + "`notify`" + ` in penumbra.yaml and the notices that went through
them: webhook, Slack, Microsoft Teams, Alertmanager, e-mail. A running daemon sends
them; see docs/notifications.md.`,
	}
	cmd.AddCommand(a.noticesCommand(), a.channelsCommand(), a.testChannelCommand(), a.deadCommand(), a.resendCommand())
	return cmd
}

func (a *app) noticesCommand() *cobra.Command {
	var q penumbra.NoticeQuery
	var state string
	cmd := &cobra.Command{
		Use: "list", Short: "List notices, the oldest first",
		Example: `  penumbra notify list
  penumbra notify list --channel ops --state waiting
  penumbra notify list -o json | jq '.[].title'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if state != "" {
				q.States = []penumbra.NoticeState{penumbra.NoticeState(state)}
			}
			return a.listNotices(cmd, q)
		},
	}
	cmd.Flags().StringVar(&q.Channel, "channel", "", "only those through this channel")
	cmd.Flags().StringVar(&state, "state", "", "only those in this state: "+strings.Join(noticeStates, ", "))
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "at most so many, of the newest; 0 for all")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(noticeStates, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("channel", a.completeChannels)
	return cmd
}

func (a *app) deadCommand() *cobra.Command {
	var channel string
	cmd := &cobra.Command{
		Use: "dead", Short: "List notices that were given up, with the reason",
		Example: `  penumbra notify dead
  penumbra notify resend $(penumbra notify dead -o json | jq -r '.[].id')`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.listNotices(cmd, penumbra.NoticeQuery{Channel: channel, States: []penumbra.NoticeState{penumbra.NoticeDead}})
		},
	}
	cmd.Flags().StringVar(&channel, "channel", "", "only those through this channel")
	_ = cmd.RegisterFlagCompletionFunc("channel", a.completeChannels)
	return cmd
}

func (a *app) listNotices(cmd *cobra.Command, q penumbra.NoticeQuery) error {
	return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
		notices, err := s.Notices(ctx, q)
		if err != nil {
			return err
		}
		header := []any{"NOTICE", "TIME", "CHANNEL", "STATE", "SEVERITY", "WHAT"}
		return console.List(a.Console, notices, "No notices.", header, func(n *penumbra.Notice) []any {
			what := words.Shorten(n.Title, 70)
			if n.Error != "" {
				what += "\n" + a.Paint(console.Faint, words.Shorten(n.Error, 100))
			}
			return []any{n.ID, n.Created.Format(time.DateTime), n.Channel, a.noticeState(n), n.Severity, what}
		})
	})
}

func (a *app) noticeState(n *penumbra.Notice) string {
	switch n.State {
	case penumbra.NoticeSent:
		return a.Paint(console.Green, "sent")
	case penumbra.NoticeDead:
		return a.Paint(console.Red, fmt.Sprintf("dead (%d tries)", n.Attempts))
	case penumbra.NoticeWaiting:
		if n.Attempts > 0 {
			return a.Paint(console.Yellow, fmt.Sprintf("waiting (%d tries)", n.Attempts))
		}
	}
	return string(n.State)
}

func (a *app) channelsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "channels", Short: "List channels and how they do", Example: "  penumbra notify channels", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				channels, err := s.Channels(ctx)
				if err != nil {
					return err
				}
				header := []any{"CHANNEL", "KIND", "WAITING", "HELD", "DEAD", "LAST SENT", ""}
				return console.List(a.Console, channels, "No channels are configured. docs/notifications.md shows how.", header, func(c *penumbra.ChannelStatus) []any {
					note := words.Shorten(c.Error, 80)
					if !c.Quiet.IsZero() {
						note = strings.TrimSpace("quiet until " + c.Quiet.Format(time.DateTime) + " " + note)
					}
					sent := "never"
					if !c.Sent.IsZero() {
						sent = c.Sent.Format(time.DateTime)
					}
					return []any{c.Name, c.Kind, c.Waiting, c.Held, c.Dead, sent, note}
				})
			})
		},
	}
}

func (a *app) testChannelCommand() *cobra.Command {
	return &cobra.Command{
		Use: "test CHANNEL", Short: "Send a notice of nothing through a channel now", Example: "  penumbra notify test ops",
		Args: cobra.ExactArgs(1), ValidArgsFunction: a.completeChannels,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				n, err := s.TestChannel(ctx, args[0], "")
				if err != nil {
					return err
				}
				if a.Output == "json" {
					return a.JSON(n)
				}
				fmt.Fprintf(a.Out, "%s was sent through %s.\n", n.ID, n.Channel)
				return nil
			})
		},
	}
}

func (a *app) resendCommand() *cobra.Command {
	return &cobra.Command{
		Use: "resend NOTICE...", Short: "Have notices sent again that were given up",
		Long: `Puts notices that were given up back into the queue, and those that wait for their
next attempt to its front. They keep their identifiers, so that a receiver that has
seen one drops it. A running daemon sends them at once, otherwise the next one.`,
		Example: `  penumbra notify resend m-4c1e09aa0011ffee`,
		Args:    cobra.MinimumNArgs(1), ValidArgsFunction: a.completeDead,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.Asking(cmd, func(ctx context.Context, s *console.Service) error {
				again := []penumbra.Notice{}
				for _, id := range args {
					n, err := s.ResendNotice(ctx, id)
					if err != nil {
						return err
					}
					again = append(again, n)
				}
				if a.Output == "json" {
					return a.JSON(again)
				}
				for i := range again {
					fmt.Fprintf(a.Out, "%s is sent again through %s.\n", again[i].ID, again[i].Channel)
				}
				if !s.Daemon {
					fmt.Fprintln(a.Err, "No daemon runs: the next `penumbra serve` sends them.")
				}
				return nil
			})
		},
	}
}

// completeChannels completes the names of the configuration: no daemon is needed.
func (a *app) completeChannels(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	c, err := a.Config()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return c.ChannelNames(), cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeDead(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return a.Completing(cmd, func(ctx context.Context, s *console.Service) []string {
		notices, _ := s.Notices(ctx, penumbra.NoticeQuery{States: []penumbra.NoticeState{penumbra.NoticeDead}})
		var out []string
		for i := range notices {
			out = append(out, notices[i].ID+"\t"+words.Shorten(notices[i].Title, 50))
		}
		return out
	})
}
