package timelines

import (
	"io"
	"strings"
	"testing"

	"github.com/penumbra-iac/penumbra/cmd/penumbra/console"
)

// A model that took a step with each value of a metric would see little else.
func TestModelsDoNotSeeValues(t *testing.T) {
	t.Parallel()
	const text = `{"kind":"metric","time":"2026-03-01T09:00:01Z","resource":"shop/db.a","source":"live","metrics":{"cpu":1}}
{"kind":"metric","time":"2026-03-01T10:00:00Z","resource":"shop/db.a","source":"metrics","metrics":{"cpu":1}}
`
	a := &app{&console.Console{In: strings.NewReader(text), Err: io.Discard}}
	got, err := a.readTimeline("-")
	if err != nil || len(got) != 1 || got[0].Source != "metrics" {
		t.Errorf("read %+v, %v", got, err)
	}
}
