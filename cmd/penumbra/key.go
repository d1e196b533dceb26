package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/internal/atrest"
)

func (a *app) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "key", GroupID: "watch", Short: "Make and rotate the keys that plans and logs are encrypted and sensitive values hashed with",
		Long: `Saved plans, copies of files for the way back and logs of runs are encrypted with
data keys. They lie in keyring.age in the data directory, wrapped under a master
key: that of PENUMBRA_MASTER_KEY, of the file that PENUMBRA_MASTER_KEY_FILE names,
or master.key in the data directory. Sensitive values are stored as hashes under
another key: that of PENUMBRA_KEY, of the file that PENUMBRA_KEY_FILE names, or
sealing.key in the data directory. See docs/security.md.`,
	}
	var dataOnly, hash, given bool
	rotate := &cobra.Command{
		Use: "rotate", Short: "Make a new master key and a new data key, and keep all readable",
		Long: `Makes a new master key, wraps the keyring under it alone, and adds a data key that
everything from now on is encrypted with. What was encrypted before stays readable
with the data keys before. The old master key opens nothing any more. A daemon goes
on with the data key that it knows until it is restarted.

A master key that comes from the environment, or from a file of several keys, is
yours to renew: put the new key in the first line, keep the old ones below, run
this with --data-only, and then drop the old ones.

With --hash it is the key of hashes that is renewed, by which sensitive values are
stored. Everything stored is hashed under the new key at once, without the values:
nothing looks changed. Whoever has the old key can try no value any more. It has to
stay in its line below the new one, but is no secret from then on. No daemon may be at
work meanwhile. A key from the environment or a file of your own is yours to renew: put
the new one in a line above, and run this with --hash --given.`,
		Example: "  penumbra key rotate\n  penumbra key rotate --data-only\n  penumbra key rotate --hash",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.Config()
			if err != nil {
				return err
			}
			if hash {
				return a.rotateHashKey(cmd.Context(), c, given)
			}
			if given {
				return &penumbra.Error{Kind: penumbra.Invalid, What: "--given without --hash", Remedy: "a master key that is given is rotated with --data-only"}
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
			if err := c.ShareKeys(cmd.Context()); err != nil {
				return err
			}
			if a.Output == "json" {
				return a.JSON(map[string]any{"data_key": id, "master_renewed": !dataOnly})
			}
			fmt.Fprintf(a.Out, "Data key %d is in use from now on; restart a daemon that is running.\n", id)
			return nil
		},
	}
	rotate.Flags().BoolVar(&hash, "hash", false, "rotate the key of hashes, by which sensitive values are stored")
	rotate.Flags().BoolVar(&given, "given", false, "make no key: with --hash, one was put above the old one")
	rotate.Flags().BoolVar(&dataOnly, "data-only", false, "keep the master key; wrap under the first one given")
	rotate.MarkFlagsMutuallyExclusive("hash", "data-only")
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

// rotateHashKey renews the key of hashes, and what is stored with it.
func (a *app) rotateHashKey(ctx context.Context, c *wire.Config, given bool) error {
	id, changed, err := wire.RotateHashKey(ctx, c, given, wire.Options{Log: a.Logger(), Version: a.Version})
	if err == nil {
		err = c.ShareKeys(ctx)
	}
	if err != nil {
		return err
	}
	if a.Output == "json" {
		return a.JSON(map[string]any{"hash_key": id, "documents": changed})
	}
	fmt.Fprintf(a.Out, "Hashes are made with key %s from now on; %d documents of the store had some and have the new ones.\n", id, changed)
	return nil
}
