package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra/internal/atrest"
)

func (a *app) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "key", GroupID: "watch", Short: "Make and rotate the keys that plans and logs of runs are encrypted with",
		Long: `Saved plans, copies of files for the way back and logs of runs are encrypted with
data keys. They lie in keyring.age in the data directory, wrapped under a master
key: that of PENUMBRA_MASTER_KEY, of the file that PENUMBRA_MASTER_KEY_FILE names,
or master.key in the data directory. See docs/security.md.`,
	}
	var dataOnly bool
	rotate := &cobra.Command{
		Use: "rotate", Short: "Make a new master key and a new data key, and keep all readable",
		Long: `Makes a new master key, wraps the keyring under it alone, and adds a data key that
everything from now on is encrypted with. What was encrypted before stays readable
with the data keys before. The old master key opens nothing any more. A daemon goes
on with the data key that it knows until it is restarted.

A master key that comes from the environment, or from a file of several keys, is
yours to renew: put the new key in the first line, keep the old ones below, run
this with --data-only, and then drop the old ones.`,
		Example: "  penumbra key rotate\n  penumbra key rotate --data-only",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.Config()
			if err != nil {
				return err
			}
			master, err := c.MasterKey()
			if err != nil {
				return err
			}
			// The keyring has to open before anything is made anew.
			keys, err := c.KeyringOf(master, time.Now)
			if err != nil {
				return err
			}
			if !dataOnly {
				if master, err = master.Renew(); err != nil {
					return err
				}
				if keys, err = c.KeyringOf(master, time.Now); err != nil {
					return err
				}
			}
			id, err := keys.Rotate(time.Now())
			if err != nil {
				return err
			}
			if !dataOnly {
				if _, err := master.Forget(); err != nil {
					return err
				}
			}
			if a.Output == "json" {
				return a.JSON(map[string]any{"data_key": id, "master_renewed": !dataOnly})
			}
			fmt.Fprintf(a.Out, "Data key %d is in use from now on; restart a daemon that is running.\n", id)
			return nil
		},
	}
	rotate.Flags().BoolVar(&dataOnly, "data-only", false, "keep the master key; wrap under the first one given")
	fresh := &cobra.Command{
		Use: "new", Short: "Print a new master key", Args: cobra.NoArgs,
		Example: "  (umask 077; penumbra key new >/etc/penumbra/master.key)",
		RunE: func(*cobra.Command, []string) error {
			line, err := atrest.NewMaster()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.Out, line)
			return err
		},
	}
	check := &cobra.Command{
		Use: "check", Short: "Say whether the master key opens the keyring, and how many data keys it has", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.Config()
			if err != nil {
				return err
			}
			if _, err := os.Stat(c.DataDir()); err != nil {
				fmt.Fprintln(a.Out, "Nothing is encrypted yet.")
				return nil
			}
			keys, err := c.Keyring(time.Now)
			if err != nil {
				return err
			}
			n, newest := keys.Keys()
			if a.Output == "json" {
				return a.JSON(map[string]any{"data_keys": n, "newest": newest})
			}
			fmt.Fprintf(a.Out, "The master key opens the keyring. Data keys: %d, in use: %d.\n", n, newest)
			return nil
		},
	}
	cmd.AddCommand(rotate, fresh, check)
	return cmd
}
