package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/api"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/words"
)

func (a *app) demoCommand() *cobra.Command {
	var once bool
	var listen, recorded string
	var speed float64
	cmd := &cobra.Command{
		Use:     "demo {DIR | --replay FILE}",
		GroupID: "watch",
		Short:   "Play four weeks of an operator's life on a real stack, or a recording",
		Long: `Plays a script on an applied copy of examples/shop: a nightly job that raises a
setting and puts it back, a change that creeps from server to server, a hand
edit that nobody logged. The services' files, OpenTofu and every verdict are
real; only the clock is hurried, from four weeks ago to now.

` + "`make demo`" + ` prepares all that and calls this.

With --replay it plays a timeline that ` + "`penumbra record`" + ` wrote, in the order and at
the pace of its times or faster, into a daemon of its own that needs no server
and leaves nothing behind. Pauses in which nothing happens are passed over.`,
		Example: `  make demo                       # the whole thing, on a fresh machine
  DEMO_ONCE=1 make demo           # the same, and end by itself
  penumbra demo work/shop --once  # on a stack that is applied already
  penumbra demo --replay lab.jsonl --speed 60`,
		Args: func(cmd *cobra.Command, args []string) error {
			if recorded != "" {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			d := &demo{app: a, once: once, clock: &hurried{}, over: make(chan struct{})}
			if recorded != "" {
				return a.replaying(cmd.Context(), d, recorded, speed, listen)
			}
			var err error
			if d.dir, err = wire.Absolute(args[0]); err != nil {
				return err
			}
			return d.run(cmd.Context(), listen)
		},
	}
	cmd.Flags().StringVar(&recorded, "replay", "", "play this recording (DEMO_REPLAY=FILE)")
	cmd.Flags().Float64Var(&speed, "speed", 60, "how many times as fast as it was recorded")
	cmd.Flags().BoolVar(&once, "once", os.Getenv("DEMO_ONCE") == "1", "end after the summary (DEMO_ONCE=1)")
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:7676", "address of the page; port 0 picks a free one")
	return cmd
}

// hurried is a clock that a script moves, until it is let go.
type hurried struct {
	mu sync.Mutex
	at time.Time // zero: the machine's clock
}

func (h *hurried) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at.IsZero() {
		return time.Now()
	}
	return h.at
}

func (h *hurried) set(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = t
}

// demo is the script and what it needs.
type demo struct {
	*app
	dir    string // the stack, applied
	once   bool
	clock  *hurried
	client *api.Client
	url    string
	over   chan struct{} // closed when the script is over and the daemon may watch

	start   time.Time // of the hurried time
	reads   int
	summary []string
}

// demoSpan is how much time the script plays.
const demoSpan = 28 * 24 * time.Hour

// run serves the stack with the hurried clock, plays the script, lets the clock
// go and stays up.
func (d *demo) run(ctx context.Context, listen string) error {
	if _, err := os.Stat(d.file("database")); err != nil {
		return &penumbra.Error{Kind: penumbra.Missing, What: "no applied copy of examples/shop in " + d.dir, Remedy: "run `make demo`, which makes one", Err: err}
	}
	// The script starts at midnight, so that the nights are nights.
	d.start = time.Now().UTC().Add(-demoSpan).Truncate(24 * time.Hour)
	d.clock.set(d.start)
	c := &wire.Config{
		Data: filepath.Join(d.dir, ".penumbra"), Listen: listen, Confidence: 0.95, Model: wire.DefaultModel, Folder: d.dir,
		Schedule: wire.ScheduleConfig{Gap: time.Millisecond, Burst: 1000},
		Stacks:   []wire.StackConfig{{Name: "shop", Dir: d.dir}},
	}
	return d.perform(ctx, c, wire.Options{Log: d.LoggerAt(slog.LevelWarn), Version: d.Version, Now: d.clock.now, Hold: d.over}, d.once, d.play)
}

// perform serves while something is played on the daemon, and goes on until
// interrupted unless it is to end with the play.
func (a *app) perform(ctx context.Context, c *wire.Config, o wire.Options, once bool, play func(ctx context.Context, url, token string) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	played, started := make(chan error, 1), false
	err := a.serve(ctx, c, o, func(_ *wire.Loop, url, token string) {
		started = true
		go func() {
			err := play(ctx, url, token)
			if err != nil || once {
				stop()
			}
			played <- err
		}()
	})
	stop()
	if !started {
		return err
	}
	failed := <-played
	if errors.Is(failed, context.Canceled) {
		failed = nil // interrupted
	}
	return errors.Join(failed, err)
}

// play is the script.
func (d *demo) play(ctx context.Context, url, token string) error {
	d.url = url + "/?token=" + token
	d.client = api.NewClient(url, token)
	if !d.once {
		fmt.Fprintf(d.Out, "The page, to watch it happen: %s\n", d.url)
	}
	began := time.Now()
	acts := []func(context.Context) error{d.actInSync, d.actHabit, d.actCreep, d.actHandEdit}
	for _, act := range acts {
		if err := act(ctx); err != nil {
			return err
		}
	}
	d.clock.set(time.Time{})
	close(d.over)
	return d.epilogue(ctx, time.Since(began))
}

func (d *demo) title(format string, args ...any) {
	fmt.Fprintf(d.Out, "\n%s\n", d.Paint(console.Bold, fmt.Sprintf(format, args...)))
}

// say writes a line with the hurried time before it.
func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.Out, "  %s  %s\n", d.Paint(console.Faint, d.clock.now().Format("Mon 02 Jan 15:04")), fmt.Sprintf(format, args...))
}

func (d *demo) file(service string) string { return filepath.Join(d.dir, "etc", service+".conf") }

// at moves the clock to a time of a day of the script.
func (d *demo) at(day, hour, minute int) {
	d.clock.set(d.start.Add(time.Duration(day)*24*time.Hour + time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute))
}

// edit changes a key of a service's configuration file, as a person with an
// editor would.
func (d *demo) edit(service, key, value string) error {
	text, err := os.ReadFile(d.file(service))
	if err != nil {
		return err
	}
	line := regexp.MustCompile(`(?m)^(` + regexp.QuoteMeta(key) + `\s*=\s*).*$`)
	if !line.Match(text) {
		return fmt.Errorf("%s has no line %s", d.file(service), key)
	}
	return os.WriteFile(d.file(service), line.ReplaceAll(text, []byte("${1}"+value)), 0o600)
}

// tell sends a log event to the daemon, as a log shipper would.
func (d *demo) tell(ctx context.Context, address, actor, kind, action, settings string) error {
	line := fmt.Sprintf(`{"kind":"event","time":%q,"resource":%q,"type":"conffile_service","source":"audit","actor":%q,"actor_kind":%q,"action":%q,"settings":{%s}}`,
		d.clock.now().Format(time.RFC3339Nano), "shop/"+address, actor, kind, action, settings)
	_, err := d.client.Ingest(ctx, strings.NewReader(line+"\n"), "audit")
	return err
}

// look has the stack read, a minute later, and returns the active drifts.
func (d *demo) look(ctx context.Context) ([]penumbra.Drift, error) {
	d.clock.set(d.clock.now().Add(time.Minute))
	if err := d.client.Trigger(ctx, "shop"); err != nil {
		return nil, err
	}
	d.reads++
	return d.client.Drifts(ctx, penumbra.DriftQuery{Stack: "shop", Active: true})
}

// verdictOn returns what is said of one setting.
func (d *demo) verdictOn(ctx context.Context, address, path string) (penumbra.SettingView, error) {
	view, err := d.client.Shadow(ctx, penumbra.Address("shop/"+address))
	if err != nil {
		return penumbra.SettingView{}, err
	}
	for _, s := range view.Settings {
		if s.Path == path {
			return s, nil
		}
	}
	return penumbra.SettingView{}, fmt.Errorf("%s has no setting %s", address, path)
}

func (d *demo) actInSync(ctx context.Context) error {
	d.title("The first look")
	if _, err := d.look(ctx); err != nil {
		return err
	}
	status, err := d.client.Status(ctx)
	if err != nil {
		return err
	}
	d.say("%d resources with %d settings are read from the stack, %s in sync", status.Resources, status.Settings, d.Paint(console.Green, fmt.Sprint(status.Verdicts[penumbra.InSync])))
	return nil
}

// actHabit has a nightly job raise a setting and put it back.
func (d *demo) actHabit(ctx context.Context) error {
	d.title("A habit: every night at 02:00 a job gives the database more memory, and takes it back at 04:00")
	const address, nights = "conffile_service.database", 8
	var last penumbra.Verdict
	for night := 1; night <= nights; night++ {
		d.at(night, 2, 0)
		if err := d.nightly(ctx, address, "8192"); err != nil {
			return err
		}
		if _, err := d.look(ctx); err != nil {
			return err
		}
		s, err := d.verdictOn(ctx, address, "memory_mb")
		if err != nil {
			return err
		}
		if s.Verdict != last || night == nights {
			d.say("night %d: memory_mb %s → %s is %s   the shadow expects %s", night, s.Template, s.Actual, d.Verdict(s.Verdict), words.Expected(&s.Expectation))
		}
		last = s.Verdict
		d.at(night, 4, 0)
		if err := d.nightly(ctx, address, "4096"); err != nil {
			return err
		}
		if _, err := d.look(ctx); err != nil {
			return err
		}
	}
	d.note("a nightly job's memory_mb was drifted at first and became %s", last)
	if last != penumbra.Tolerated {
		return fmt.Errorf("the habit is %s after %d nights, not tolerated", last, nights)
	}
	d.at(nights+1, 14, 0)
	if err := d.edit("database", "memory_mb", "8192"); err != nil {
		return err
	}
	if _, err := d.look(ctx); err != nil {
		return err
	}
	s, err := d.verdictOn(ctx, address, "memory_mb")
	if err != nil {
		return err
	}
	d.say("the same value at 14:00, by nobody in the logs, is %s", d.Verdict(s.Verdict))
	d.note("the same value in the afternoon was %s", s.Verdict)
	d.at(nights+1, 15, 0)
	if err := d.edit("database", "memory_mb", "4096"); err != nil {
		return err
	}
	_, err = d.look(ctx)
	return err
}

func (d *demo) nightly(ctx context.Context, address, value string) error {
	if err := d.edit("database", "memory_mb", value); err != nil {
		return err
	}
	return d.tell(ctx, address, "nightly-batch", "automation", "resize", `"memory_mb":`+value)
}

// actCreep has a person change one server after the other.
func (d *demo) actCreep(ctx context.Context) error {
	d.title("A change creeps through the fleet: dana raises max_connections by hand, server by server")
	foreseen := map[penumbra.Address]time.Time{}
	for i, server := range []string{"a", "b", "c", "d", "e"} {
		d.at(18+i/2, 9+6*(i%2), 0)
		address := fmt.Sprintf(`conffile_service.web["%s"]`, server)
		if err := d.edit("web-"+server, "max_connections", "1024"); err != nil {
			return err
		}
		if err := d.tell(ctx, address, "dana", "user", "edit", `"max_connections":1024`); err != nil {
			return err
		}
		drifts, err := d.look(ctx)
		if err != nil {
			return err
		}
		d.say("web %s: 512 → 1024 is %s", server, d.Verdict(penumbra.Drifted))
		if t, ok := foreseen[penumbra.Address("shop/"+address)]; ok {
			lead := d.clock.now().Sub(t).Round(time.Minute)
			d.say("   %s before it happened: lead time %s", d.Verdict(penumbra.Impending), lead)
			d.note("web %s was impending %s before it drifted", server, lead)
		}
		for _, x := range drifts {
			if x.Verdict != penumbra.Impending || !foreseen[x.Resource].IsZero() {
				continue
			}
			foreseen[x.Resource] = d.clock.now()
			f := x.Findings[0]
			d.say("   %s %s %s", d.Verdict(x.Verdict), x.Resource.Local(), f.Brief())
			if f.Forecast != nil {
				d.say("     because %s", f.Forecast.Reason)
			}
		}
	}
	if len(foreseen) == 0 {
		return errors.New("nothing was impending before it happened")
	}
	return nil
}

// actHandEdit has somebody change a setting that no log tells of, and resolves
// it the way a person would.
func (d *demo) actHandEdit(ctx context.Context) error {
	d.title("A hand edit: at night somebody switches the queue's log level, and no log says who")
	const address = "conffile_service.queue"
	d.at(27, 23, 0)
	s, err := d.verdictOn(ctx, address, "log_level")
	if err != nil {
		return err
	}
	if err := d.edit("queue", "log_level", `debug`); err != nil {
		return err
	}
	drifts, err := d.look(ctx)
	if err != nil {
		return err
	}
	var found *penumbra.Drift
	for i := range drifts {
		if drifts[i].Resource == "shop/"+address {
			found = &drifts[i]
		}
	}
	if found == nil {
		return fmt.Errorf("the edit of log_level from %s was not found", s.Actual)
	}
	d.ShowDrift(found)
	d.title("What can be done about it")
	proposals, omitted, err := d.client.Proposals(ctx, found.ID)
	if err != nil {
		return err
	}
	for i := range proposals {
		d.ShowProposal(&proposals[i])
	}
	for _, o := range omitted {
		fmt.Fprintf(d.Out, "   not proposed: %s: %s\n", o.Kind, o.Reason)
	}
	for i := range proposals {
		if proposals[i].Kind == penumbra.Revert {
			return d.resolve(ctx, &proposals[i])
		}
	}
	return errors.New("reverting was not proposed")
}

// resolve approves a proposal and follows its run.
func (d *demo) resolve(ctx context.Context, p *penumbra.Proposal) error {
	d.title("The operator approves %q", p.Title)
	d.clock.set(d.clock.now().Add(5 * time.Minute))
	approval, err := d.client.Approve(ctx, p.ID, p.Hash, "")
	if err != nil {
		return err
	}
	run, err := d.Follow(ctx, &console.Service{Client: d.client}, *approval.Run, 5*time.Minute) // a demo has no policy that asks for more
	if err != nil {
		return err
	}
	d.ShowRun(&run)
	if run.State != penumbra.Done {
		return fmt.Errorf("run %s ended %s: %s", run.ID, run.State, run.Outcome)
	}
	resolved, err := d.client.Drifts(ctx, penumbra.DriftQuery{ID: p.Drift})
	if err != nil {
		return err
	}
	d.say("the fresh snapshot verifies it: drift %s is %s, %s", p.Drift, resolved[0].Status, resolved[0].Resolution)
	d.note("the hand edit was found, reverted on approval and verified: drift %s, %s", resolved[0].Status, resolved[0].Resolution)
	return nil
}

func (d *demo) note(format string, args ...any) {
	d.summary = append(d.summary, fmt.Sprintf(format, args...))
}

func (d *demo) epilogue(ctx context.Context, took time.Duration) error {
	status, err := d.client.Status(ctx)
	if err != nil {
		return err
	}
	d.title("Summary")
	for _, line := range d.summary {
		fmt.Fprintf(d.Out, "  - %s\n", line)
	}
	fmt.Fprintf(d.Out, "  - %d real reads of the stack and %d stored observations in %s\n", d.reads, status.Observations, took.Round(time.Second))
	if d.once {
		return nil
	}
	fmt.Fprintf(d.Out, "\nThe daemon goes on watching %s by the real clock: edit a file in its etc/ and see.\nThe page: %s\nInterrupt (Ctrl-C) to end.\n", d.dir, d.url)
	return nil
}
