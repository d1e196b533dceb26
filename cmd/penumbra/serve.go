package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/web"
)

func (a *app) serveCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:     "serve",
		GroupID: "watch",
		Short:   "Watch the configured stacks, with an API and a page on this machine",
		Long: `Watches the stacks of penumbra.yaml until interrupted: when code or watched files
change, when events come in, and by the clock (every 5 minutes by default). The
address and a token to sign in with are printed at the start.

An interrupt stops it gracefully: reads are given up, since they change nothing;
a run that is being applied is finished first.`,
		Example: `  penumbra serve
  penumbra serve --listen 127.0.0.1:9000 --verbose`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.config()
			if err != nil {
				return err
			}
			if listen != "" {
				c.Listen = listen
			}
			if len(c.Stacks) == 0 {
				fmt.Fprintln(a.err, "No stacks are configured: only what is ingested is watched. `penumbra init` names one.")
			}
			return a.serve(cmd.Context(), c, openOptions{log: a.loggerAt(slog.LevelInfo)}, a.printAddress)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "address to listen on (default: 127.0.0.1:7676); loopback only")
	return cmd
}

func (a *app) printAddress(url, token string) {
	fmt.Fprintf(a.out, "Penumbra watches. The page: %s/?token=%s\n", url, token)
}

// serve runs the engine and its face until ctx ends. ready is told the address
// once it answers. The stop order: the listener closes first, so that nothing
// new is decided; then the engine, which finishes runs and saves the shadow;
// then the store.
func (a *app) serve(ctx context.Context, c *config, o openOptions, ready func(url, token string)) (err error) {
	listener, err := listenLoopback(c.Listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	loop, err := a.open(ctx, c, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loop.close(context.WithoutCancel(ctx))) }()
	token, err := secretFile(c.dataDir(), tokenFile)
	if err != nil {
		return err
	}
	url := "http://" + listener.Addr().String()
	withdraw, err := announceDaemon(c.dataDir(), url)
	if err != nil {
		return err
	}
	defer withdraw()

	mux := http.NewServeMux()
	handler := api.Handler(loop.engine, token, buildVersion())
	mux.Handle("/v1/", handler)
	mux.Handle("/healthz", handler)
	mux.Handle("/", web.Handler(loop.engine, token, o.clock()))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(o.log.Handler(), slog.LevelWarn)}

	g, running := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-running.Done()
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if server.Shutdown(closing) != nil {
			return server.Close()
		}
		return nil
	})
	g.Go(func() error {
		if o.hold != nil {
			select {
			case <-o.hold:
			case <-running.Done():
			}
		}
		return loop.engine.Run(running)
	})
	if c.Model == engine.AutoModel {
		g.Go(func() error { return a.choosing(running, loop.engine, o) })
	}
	ready(url, token)
	return g.Wait()
}

// listenLoopback listens on an address of this machine only.
func listenLoopback(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("listen on %q", address), Remedy: "write host:port, such as 127.0.0.1:7676", Err: err}
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("listen on %s: not an address of this machine alone", address), Remedy: "use 127.0.0.1, and a tunnel (ssh -L) to reach it from elsewhere"}
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Unavailable, What: "listen on " + address, Remedy: "another program may have the port: choose one with --listen", Err: err}
	}
	return l, nil
}
