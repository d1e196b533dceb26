package penumbra_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/penumbra-iac/penumbra"
)

// What was hashed before a rotation and is brought up to date is what the rotated key
// makes of the same value, whatever the value and wherever the hash stands.
func TestResealedHashesAreThoseOfTheNewKey(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[ -~]{4,30}`)
		v, old := penumbra.String(text.Draw(t, "value")), penumbra.Key(rapid.StringMatching(`[a-z]{16}`).Draw(t, "key"))
		before := []penumbra.Key{old}
		for range rapid.IntRange(1, 4).Draw(t, "rotations") {
			last := before[len(before)-1]
			before = append(before, penumbra.Key(rapid.StringMatching(`[A-Z]{16}`).Draw(t, "new")+"\n"+string(last)))
		}
		for i, of := range before {
			binary, _ := of.Seal(v).MarshalBinary()
			inJSON, _ := json.Marshal(binary) // in base64
			data := fmt.Appendf(nil, "x%sa%s|lineinfile.%sb|set[\"%s%s\"]|a long text…#%s|", of.Seal(v).Text(), inJSON, of.Short(v), penumbra.ShortPrefix, of.Short(v), of.Short(v))
			kept := "hmac-sha256:" + strings.Repeat("0123456789abcdef", 4) + " replace.0123456789abcdef"
			data = append(data, kept...)
			newest := before[len(before)-1]
			later, ok := newest.Since(of.ID())
			if !ok || len(later) != len(before)-1-i {
				t.Fatalf("%d keys came after the %dth of %d: %v", len(later), i, len(before), ok)
			}
			for _, k := range later {
				if !k.Reseal(data) {
					t.Fatal("there is none")
				}
			}
			binary, _ = newest.Seal(v).MarshalBinary()
			inJSON, _ = json.Marshal(binary)
			want := fmt.Appendf(nil, "x%sa%s|lineinfile.%sb|set[\"%s%s\"]|a long text…#%s|%s", newest.Seal(v).Text(), inJSON, newest.Short(v), penumbra.ShortPrefix, newest.Short(v), newest.Short(v), kept)
			if !bytes.Equal(data, want) {
				t.Fatalf("\n%s\n%s", data, want)
			}
			if i < len(before)-1 && (of.Seal(v) == newest.Seal(v) || of.Short(v) == newest.Short(v)) {
				t.Fatal("the hash is the old one")
			}
		}
		if _, ok := old.Since(before[1].ID()); ok {
			t.Fatal("an old key knows the new one")
		}
		if before[len(before)-1].Oldest() != old.ID() {
			t.Fatal("another one is the oldest")
		}
	})
}

func TestResealLeavesTheRest(t *testing.T) {
	t.Parallel()
	data := []byte("hmac-sha256:5f0c11aa:" + strings.Repeat("ab", 32) + " sealed-xyz lineinfile.md sha256:" + strings.Repeat("0", 64))
	before := bytes.Clone(data)
	if penumbra.Key("k").Reseal(data) || !bytes.Equal(data, before) {
		t.Errorf("%s", data)
	}
}
