package penumbra

import "testing"

func TestValueBinary(t *testing.T) {
	t.Parallel()
	long, err := ParseNumber("123456789012345678901234567890")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []Value{
		Null(), Unknown(), Bool(true), Bool(false), Number(-0.25), Number(7), long,
		String(""), String("é\x00"), String("null"), Key("k").Seal(String("hunter2")),
	} {
		data, err := want.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		got := String("before")
		if err := got.UnmarshalBinary(data); err != nil || got != want {
			t.Errorf("%v became %v, %v", want, got, err)
		}
	}
	for _, data := range []string{"", "\x09", "\x02x", "\x04hunter2"} {
		var v Value
		if err := v.UnmarshalBinary([]byte(data)); err == nil {
			t.Errorf("%q was read as %v", data, v)
		}
	}
}
