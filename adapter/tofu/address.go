package tofu

import (
	"encoding/json"
	"strings"
)

// instanceAddress writes the address of a resource instance the way the tools
// print it: "module.a[0].type.name["key"]".
func instanceAddress(module, typ, name string, index any) string {
	address := typ + "." + name
	if module != "" {
		address = module + "." + address
	}
	switch index := index.(type) {
	case json.Number:
		return address + "[" + index.String() + "]"
	case string:
		return address + `["` + keyEscapes.Replace(index) + `"]`
	}
	return address
}

// keyEscapes are those of a quoted string in the configuration language, where
// ${ and %{ start a template.
var keyEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "${", "$${", "%{", "%%{")

// ConfigAddress drops the instance keys of an address, which leaves the place
// in the code: "module.a.type.name".
func ConfigAddress(address string) string {
	if !strings.Contains(address, "[") {
		return address
	}
	var b strings.Builder
	inKey, quoted := false, false
	for i := 0; i < len(address); i++ {
		c := address[i]
		switch {
		case quoted && c == '\\':
			i++
		case inKey && c == '"':
			quoted = !quoted
		case quoted:
		case c == '[':
			inKey = true
		case c == ']':
			inKey = false
		case !inKey:
			b.WriteByte(c)
		}
	}
	return b.String()
}
