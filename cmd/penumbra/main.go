// Command penumbra keeps a shadow of every resource of infrastructure as code,
// and says what drifted and what is about to. `penumbra serve` runs the daemon;
// the other verbs ask it, or do the work themselves while none runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Main runs the program and returns its exit code. Tests run it too.
func Main(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	a := &app{&console.Console{In: in, Out: console.Harmless(out), Err: errs, Version: buildVersion()}}
	root := a.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err != nil && !errors.As(err, new(*driftFound)) {
		a.complain(err)
	}
	return exitCode(err)
}

// Exit codes, as `tofu plan -detailed-exitcode` has them.
const (
	exitOK    = 0
	exitError = 1
	exitDrift = 2
)

// driftFound ends a check that found drift: not a fault, but a code of its own.
type driftFound struct{ code int }

func (d *driftFound) Error() string { return "drift found" }

// exitCode is the one place where an error becomes an exit code.
func exitCode(err error) int {
	var drift *driftFound
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &drift):
		return drift.code
	default:
		return exitError
	}
}

// complain tells a person what failed and what to do.
func (a *app) complain(err error) {
	var e *penumbra.Error
	if !errors.As(err, &e) {
		fmt.Fprintf(a.Err, "%s %s\n", a.Paint(console.Red, "Error:"), penumbra.Redact(err.Error()))
		return
	}
	text := *e
	text.Remedy = ""
	fmt.Fprintf(a.Err, "%s %s\n", a.Paint(console.Red, "Error:"), penumbra.Redact(text.Error()))
	if e.Remedy != "" {
		fmt.Fprintf(a.Err, "%s %s\n", a.Paint(console.Bold, "What to do:"), e.Remedy)
	}
}
