package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/penumbra-iac/penumbra/access"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/models"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/engine"
	"github.com/penumbra-iac/penumbra/telemetry"
	"github.com/penumbra-iac/penumbra/web"
)

func (a *app) serveCommand() *cobra.Command {
	var listen, clock string
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
			c, err := a.Config()
			if err != nil {
				return err
			}
			if listen != "" {
				c.Listen = listen
			}
			if len(c.Stacks) == 0 {
				fmt.Fprintln(a.Err, "No stacks are configured: only what is ingested is watched. `penumbra init` names one.")
			}
			o := wire.Options{Log: c.Log.Logger(a.Err, a.LoggerAt), Version: a.Version}
			if clock != "" {
				o.Shift = clockFile(clock)
				o.Now = func() time.Time { return time.Now().Add(o.Shift()) }
			}
			return a.serve(cmd.Context(), c, o, func(loop *wire.Loop, url, token string) {
				fmt.Fprintf(a.Out, "Penumbra watches. The page: %s/?token=%s\n", url, token)
				if err := a.invite(cmd.Context(), loop.Access, url); err != nil {
					o.Log.Warn("there is no link to make the first admin", "error", err)
				}
			})
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "address to listen on (default: 127.0.0.1:7676); another than of this machine alone needs TLS (docs/security.md)")
	cmd.Flags().StringVar(&clock, "clock", "", "file with a duration that the clock is ahead by: for rehearsals on servers of their own, never for real ones")
	_ = cmd.Flags().MarkHidden("clock")
	return cmd
}

// clockFile returns how far ahead of the machine's a clock is, as a file says: a
// rehearsal of weeks on real servers moves it between its steps. A file that
// cannot be read leaves the clock where it was.
func clockFile(path string) func() time.Duration {
	var mu sync.Mutex
	var ahead time.Duration
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		if text, err := os.ReadFile(path); err == nil {
			if d, err := time.ParseDuration(strings.TrimSpace(string(text))); err == nil {
				ahead = d
			}
		}
		return ahead
	}
}

// beside are the routes that a daemon has beside those of its API and of its pages, by
// their patterns. A test walks them as each role.
func beside(c *wire.Config, who api.Authenticator, receivers http.Handler, t *telemetry.Telemetry, loop *wire.Loop) map[string]http.Handler {
	received := api.Guard(who, receivers)
	return map[string]http.Handler{
		"/v1/inputs/{name}": received, "/v1/inputs/{name}/": received,
		"GET /metrics": metricsFor(c, who, t.Metrics()), "GET /healthz": api.Local(telemetry.Healthy()), "GET /readyz": api.Local(telemetry.Ready(loop.Ready)),
	}
}

// invite prints a link to make the first admin, if nobody can sign in yet.
func (a *app) invite(ctx context.Context, k *access.Keeper, url string) error {
	key, err := k.Invite(ctx)
	if err != nil || key == "" {
		return err
	}
	fmt.Fprintf(a.Out, "To let others in, make the first admin (once, within an hour): %s/setup?key=%s\n", url, key)
	return nil
}

// serve runs the engine and its face until ctx ends. ready is told the address
// once it answers.
func (a *app) serve(ctx context.Context, c *wire.Config, o wire.Options, ready func(loop *wire.Loop, url, token string)) (err error) {
	listener, err := c.Listener()
	if err != nil {
		return err
	}
	defer listener.Close()
	collecting, done := context.WithCancel(ctx)
	defer done()
	go roomForGarbage(collecting)
	if c.Shared() {
		return a.serveNode(ctx, c, o, listener, ready)
	}
	return a.work(ctx, c, o, alone{listener, o.Log}, ready)
}

// work runs the engine and its face until ctx ends. The stop order: what is in front
// closes first, so that nothing new is decided; then the engine, which finishes runs and
// saves the shadow; then the store.
func (a *app) work(ctx context.Context, c *wire.Config, o wire.Options, f front, ready func(loop *wire.Loop, url, token string)) (err error) {
	if o.Telemetry, err = telemetry.New(ctx, a.Version); err != nil {
		return err
	}
	defer func() { // last, so that what stops is traced too
		sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := o.Telemetry.Close(sending); err != nil {
			o.Log.Warn("the last traces were not sent", "error", err)
		}
	}()
	loop, err := wire.Open(ctx, c, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loop.Close(context.WithoutCancel(ctx))) }()
	tasks := models.NewTasks(a.Console, loop.Unguarded(), o)
	loop.Tasks = tasks
	token, err := wire.SecretFile(c.DataDir(), wire.TokenFile)
	if err != nil {
		return err
	}
	url := c.LocalURL(f.addr())
	if !c.Shared() { // a node says so for as long as it runs
		withdraw, err := console.AnnounceDaemon(c.DataDir(), url)
		if err != nil {
			return err
		}
		defer withdraw()
	}

	mux := http.NewServeMux()
	who := noting{c.Certified(loop.Access)}
	handler := api.Handler(loop.Service(), who, a.Version, api.WithAnswers(loop.Answers()))
	key, err := wire.SealingKey(c.DataDir())
	if err != nil {
		return err
	}
	mux.Handle("/v1/", handler)
	for pattern, h := range beside(c, who, wire.Receivers(c, key, o, loop), o.Telemetry, loop) {
		mux.Handle(pattern, h)
	}
	about, err := aboutOf(c, loop)
	if err != nil {
		return err
	}
	providers, err := c.Providers(loop.Access, url)
	if err != nil {
		return err
	}
	in := web.Entrance{Door: loop.Access, Founder: loop.Access, Sessions: loop.Sessions, Providers: providers}
	mux.Handle("/", web.Handler(loop.Service(), in, about, o.Clock()))
	loop.Measure(o.Telemetry, c, o.Clock())
	face := o.Telemetry.Requests(o.Log, api.Hosts(c.Hosts, mux))
	if c.Shared() {
		nodes, err := wire.ForwardingKey(c.DataDir())
		if err != nil {
			return err
		}
		face = passedOn(nodes, face)
	}

	if err := loop.RecordDaemon(ctx, "start", a.Version); err != nil {
		return err
	}
	if err := loop.Audit.Checkpoint(ctx, c.AuditHeads()); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, loop.RecordDaemon(context.WithoutCancel(ctx), "stop", a.Version)) }()
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return loop.Audit.Run(running) })
	g.Go(func() error { return loop.Audit.KeepHeads(running, c.AuditHeads()) })
	g.Go(func() error { return f.serve(running, face) })
	g.Go(func() error {
		if o.Hold != nil {
			select {
			case <-o.Hold:
			case <-running.Done():
			}
		}
		return loop.Engine.Run(running)
	})
	g.Go(func() error { return loop.Tell(running) })
	g.Go(func() error {
		for n := range loop.Engine.Subscribe(running) {
			o.Telemetry.News(n)
		}
		return nil
	})
	g.Go(func() error { return loop.Reread(running) })
	g.Go(func() error { return loop.Upkeep(running) })
	g.Go(func() error { return tasks.Run(running) })
	if c.Model == engine.AutoModel {
		g.Go(func() error { return models.Choosing(running, a.Console, loop.Unguarded(), o) })
	}
	ready(loop, url, token)
	return g.Wait()
}
