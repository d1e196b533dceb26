package events

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

func TestKindsCheckpoint(t *testing.T) {
	t.Parallel()
	a, b := NewKinds(), NewKinds()
	for i := range 20 {
		a.Name("x", fmt.Sprintf("user u%c logged in", 'a'+i))
		a.Name("y", "started")
	}
	var data bytes.Buffer
	if _, err := a.WriteTo(&data); err != nil {
		t.Fatal(err)
	}
	good := bytes.Clone(data.Bytes())
	if _, err := b.ReadFrom(&data); err != nil {
		t.Fatal(err)
	}
	if got := b.Templates("x"); len(got) != len(a.Templates("x")) || got[0] != a.Templates("x")[0] {
		t.Errorf("%+v", got)
	}
	good[len(good)-40] ^= 1
	if _, err := b.ReadFrom(bytes.NewReader(good)); penumbra.KindOf(err) != penumbra.Damaged {
		t.Errorf("damaged: %v", err)
	}
	if len(b.Templates("y")) != 1 {
		t.Error("what was there is lost")
	}
}
