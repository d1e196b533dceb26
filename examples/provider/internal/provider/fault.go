package provider

import (
	"context"
	"os"
	"strconv"
	"time"
)

// The switches of fault injection, for tests of programs that drive OpenTofu. They come from
// the environment because it reaches a provider without any change to the configuration.
const (
	crashVariable = "CONFFILE_CRASH"    // "read" or "update": that operation panics
	delayVariable = "CONFFILE_DELAY_MS" // milliseconds that each read waits before it starts
)

// crashIf ends the provider the way a defect would, when its switch asks for this operation.
func crashIf(operation string) {
	if os.Getenv(crashVariable) == operation {
		panic("conffile: " + crashVariable + "=" + operation + " asked for a crash")
	}
}

// delay waits as long as its switch says, or until the context is done.
func delay(ctx context.Context) error {
	wait, err := strconv.Atoi(os.Getenv(delayVariable))
	if err != nil || wait <= 0 {
		return nil
	}
	timer := time.NewTimer(time.Duration(wait) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
