package shadow

import "strings"

// Mask replaces the numeric steps of a path by stars, so that the elements of a
// list share one class.
func Mask(path string) string { return mask(path) }

// mask replaces the numeric steps of a path, so that the elements of a list
// share one class: "ingress.0.port" and "ingress[1].port" have "*" for the
// number.
func mask(path string) string {
	if !strings.ContainsAny(path, "0123456789") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); {
		j := i
		for j < len(path) && path[j] >= '0' && path[j] <= '9' {
			j++
		}
		if j > i && opensStep(path, i) && closesStep(path, j) {
			b.WriteByte('*')
			i = j
			continue
		}
		j = max(j, i+1)
		b.WriteString(path[i:j])
		i = j
	}
	return b.String()
}

func opensStep(path string, i int) bool {
	return i == 0 || path[i-1] == '.' || path[i-1] == '['
}

func closesStep(path string, j int) bool {
	return j == len(path) || path[j] == '.' || path[j] == ']'
}

// lastToken returns the last step of a masked path that is a name, which tells
// the most of what a setting is: "port" of "ingress.*.port".
func lastToken(masked string) string {
	s := masked
	for {
		t := strings.TrimSuffix(strings.TrimSuffix(s, "[*]"), ".*")
		if t == s {
			break
		}
		s = t
	}
	if i := strings.LastIndexByte(s, '.'); i >= 0 && i+1 < len(s) {
		return s[i+1:]
	}
	return s
}
