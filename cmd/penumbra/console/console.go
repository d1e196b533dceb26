// Package console is what every verb stands on: the streams and the flags that
// all share, how things are printed, how the daemon is reached and how a shell is
// answered that completes.
package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
)

// Console is the program: its streams and the flags that all verbs share.
type Console struct {
	In       io.Reader
	Out, Err io.Writer
	Version  string // of the program

	ConfigName string
	Data       string
	Output     string
	Verbose    bool
}

// Outputs makes sure that the output format asked for is one that a verb has.
func (a *Console) Outputs(formats ...string) error {
	if slices.Contains(formats, a.Output) {
		return nil
	}
	return &penumbra.Error{Kind: penumbra.Invalid, What: "--output " + a.Output + " is not a format of this command", Remedy: "use " + strings.Join(formats, ", ")}
}

// Config reads the configuration and applies the flags over it.
func (a *Console) Config() (*wire.Config, error) {
	c, err := wire.LoadConfig(a.ConfigName)
	if err != nil {
		return nil, err
	}
	if a.Data != "" {
		c.Data, err = wire.Absolute(a.Data)
	}
	return c, err
}

// JSON writes x for another program to read.
func (a *Console) JSON(x any) error {
	enc := json.NewEncoder(a.Out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(x)
}

// Logger logs to standard error: what is wrong, or with --verbose what is done.
func (a *Console) Logger() *slog.Logger {
	level := slog.LevelWarn
	if a.Verbose {
		level = slog.LevelInfo
	}
	return a.LoggerAt(level)
}

// LoggerAt logs to standard error from a level on.
func (a *Console) LoggerAt(level slog.Level) *slog.Logger {
	return slog.New(tint.NewTextHandler(a.Err, &tint.Options{Level: level, TimeFormat: "15:04:05", NoColor: !Colour(a.Err)}))
}

// Colour reports whether w is a terminal whose user wants colour.
func Colour(w io.Writer) bool {
	if h, ok := w.(harmless); ok {
		w = h.w
	}
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && isatty.IsTerminal(f.Fd())
}

// Interactive reports whether a person can be asked.
func (a *Console) Interactive() bool {
	f, ok := a.In.(*os.File)
	return ok && isatty.IsTerminal(f.Fd()) && Colour(a.Out)
}

// Style is a colour or a weight, as a terminal is told.
type Style string

// The styles.
const (
	Bold   Style = "\x1b[1m"
	Faint  Style = "\x1b[2m"
	Red    Style = "\x1b[31m"
	Green  Style = "\x1b[32m"
	Yellow Style = "\x1b[33m"
	Violet Style = "\x1b[35m"
	Cyan   Style = "\x1b[36m"
)

// Paint colours text for a terminal, and leaves it plain elsewhere.
func (a *Console) Paint(s Style, text string) string {
	if !Colour(a.Out) {
		return text
	}
	return string(s) + text + "\x1b[0m"
}

// Verdict writes a verdict with a mark, so that colour is never all there is.
func (a *Console) Verdict(v penumbra.Verdict) string {
	switch v {
	case penumbra.InSync:
		return a.Paint(Green, "✓ "+v.String())
	case penumbra.Drifted:
		return a.Paint(Red, "✗ "+v.String())
	case penumbra.Unexpected:
		return a.Paint(Red, "! "+v.String())
	case penumbra.Impending:
		return a.Paint(Yellow, "◐ "+v.String())
	case penumbra.NotChecked:
		return a.Paint(Violet, "? "+v.String())
	case penumbra.Pending:
		return a.Paint(Cyan, "… "+v.String())
	default:
		return a.Paint(Faint, "~ "+v.String())
	}
}

// Asking runs f with the service, and takes care of its end.
func (a *Console) Asking(cmd *cobra.Command, f func(context.Context, *Service) error) (err error) {
	if err := a.Outputs("human", "json"); err != nil {
		return err
	}
	s, err := a.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(context.WithoutCancel(cmd.Context()))) }()
	return f(cmd.Context(), s)
}

// Table starts a table in the house's style.
func (a *Console) Table(header ...any) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(a.Out)
	t.SetStyle(table.StyleLight)
	t.Style().Options = table.OptionsNoBordersAndSeparators
	t.AppendHeader(header)
	return t
}

// List prints a list: as JSON for another program, else a sentence if there is none, else a
// table with a row for each.
func List[T any](a *Console, list []T, none string, header []any, row func(*T) []any) error {
	if a.Output == "json" {
		return a.JSON(append([]T{}, list...)) // [] and not null
	}
	if len(list) == 0 {
		fmt.Fprintln(a.Out, none)
		return nil
	}
	t := a.Table(header...)
	for i := range list {
		t.AppendRow(row(&list[i]))
	}
	t.Render()
	return nil
}

// Done tells what has become of something by what was asked for.
func (a *Console) Done(what, id string) error {
	if a.Output == "json" {
		return a.JSON(map[string]string{"id": id, "status": what})
	}
	fmt.Fprintf(a.Out, "%s is %s.\n", id, what)
	return nil
}

// Paragraph prints a text behind its name, nothing if it is empty.
func (a *Console) Paragraph(name, text string) {
	if text = strings.TrimSpace(text); text == "" {
		return
	}
	for i, line := range strings.Split(text, "\n") {
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(a.Out, "   %-9s %s\n", name, line)
	}
}
