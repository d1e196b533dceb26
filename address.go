package penumbra

import "strings"

// Address says where a resource is: "stack/type.name[key]" for OpenTofu and
// Terraform. The part before the first slash names the stack.
type Address string

// NewAddress joins a stack's name and the address that the technology itself
// uses within it.
func NewAddress(stack, local string) Address {
	return Address(stack + "/" + local)
}

// Stack returns the part before the first slash, or "" if there is none.
func (a Address) Stack() string {
	stack, _, found := strings.Cut(string(a), "/")
	if !found {
		return ""
	}
	return stack
}

// Local returns the address within the stack, as the technology writes it.
func (a Address) Local() string {
	_, local, found := strings.Cut(string(a), "/")
	if !found {
		return string(a)
	}
	return local
}

func (a Address) String() string { return string(a) }

// ValidStackName reports whether name can stand before the slash of an
// address: not empty, and only letters, digits, '.', '_' and '-'.
func ValidStackName(name string) bool {
	if name == "" {
		return false
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		case r == '.', r == '_', r == '-':
		default:
			return false
		}
	}
	return true
}
