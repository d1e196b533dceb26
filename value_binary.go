package penumbra

import "fmt"

// MarshalBinary writes the value without loss: its kind, then its text. Stores
// use it where JSON would turn a secret into a string and unknown into null.
func (v Value) MarshalBinary() ([]byte, error) {
	return append([]byte{byte(v.kind)}, v.text...), nil
}

// UnmarshalBinary reads what MarshalBinary writes.
func (v *Value) UnmarshalBinary(data []byte) error {
	if len(data) == 0 {
		return fmt.Errorf("a value without a kind")
	}
	kind, text := ValueKind(data[0]), string(data[1:])
	switch kind {
	case NullKind, UnknownKind:
		*v = Value{kind: kind}
	case BoolKind:
		*v = Bool(text == "true")
	case NumberKind:
		n, err := ParseNumber(text)
		if err != nil {
			return err
		}
		*v = n
	case StringKind:
		*v = String(text)
	case SecretKind:
		secret, ok := Secret(text)
		if !ok {
			return fmt.Errorf("a secret that is not a keyed hash")
		}
		*v = secret
	default:
		return fmt.Errorf("%v is no kind of value", kind)
	}
	return nil
}
