package reads

import "context"

// Sweep does at once what [Asker.Run] does each minute.
func (a *Asker) Sweep(ctx context.Context) error { return a.sweep(ctx) }
