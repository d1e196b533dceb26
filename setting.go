package penumbra

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Setting is one leaf of a resource's configuration.
type Setting struct {
	// Path is the flattened path: "tags.team", "ingress.0.port".
	Path  string
	Value Value
	// Sensitive is set if the provider or Penumbra's own detection marks the
	// value. What is stored of it is a secret, see [Key.Seal].
	Sensitive bool
}

// Settings is a resource's configuration, sorted by path, each path once.
type Settings []Setting

// NewSettings sorts settings by path. Of several with one path the last wins.
func NewSettings(settings ...Setting) Settings {
	s := Settings(slices.Clone(settings))
	if len(s) < 2 || slices.IsSortedFunc(s, strictly) {
		return s
	}
	slices.SortStableFunc(s, byPath)
	out := s[:0]
	for i, x := range s {
		if i+1 < len(s) && s[i+1].Path == x.Path {
			continue
		}
		out = append(out, x)
	}
	return out
}

// ParseAssignment reads PATH=VALUE, as a person writes what a setting is to be: the
// value as JSON if it is some, else as text. It returns an error of kind Invalid
// if there is no path.
func ParseAssignment(text string) (Setting, error) {
	path, value, found := strings.Cut(text, "=")
	path = strings.TrimSpace(path)
	if !found || path == "" {
		return Setting{}, &Error{Kind: Invalid, What: strconv.Quote(text) + " sets nothing", Remedy: "write PATH=VALUE, such as max_connections=150"}
	}
	x := Setting{Path: path}
	if err := x.Value.UnmarshalJSON([]byte(value)); err != nil || value == "" {
		x.Value = String(value)
	}
	return x, nil
}

func byPath(a, b Setting) int { return cmp.Compare(a.Path, b.Path) }

// strictly holds equal paths to be out of order, so that duplicates are
// noticed. slices.IsSortedFunc calls it with the later element first.
func strictly(later, earlier Setting) int {
	if later.Path <= earlier.Path {
		return -1
	}
	return 1
}

// Find returns the setting at path.
func (s Settings) Find(path string) (Setting, bool) {
	i, found := slices.BinarySearchFunc(s, path, func(x Setting, p string) int { return cmp.Compare(x.Path, p) })
	if !found {
		return Setting{}, false
	}
	return s[i], true
}

// Get returns the value at path, null if there is none.
func (s Settings) Get(path string) Value {
	x, _ := s.Find(path)
	return x.Value
}

// Merge returns s with the settings of patch over it; a null removes.
func (s Settings) Merge(patch Settings) Settings {
	out := make(Settings, 0, len(s)+len(patch))
	i := 0
	for _, p := range patch {
		for i < len(s) && s[i].Path < p.Path {
			out = append(out, s[i])
			i++
		}
		if i < len(s) && s[i].Path == p.Path {
			i++
		}
		if !p.Value.IsNull() {
			out = append(out, p)
		}
	}
	return append(out, s[i:]...)
}

// Equal reports whether both hold the same paths with the same values.
func (s Settings) Equal(t Settings) bool { return slices.Equal(s, t) }

// Under returns the settings at path and below it.
func (s Settings) Under(path string) Settings {
	var out Settings
	for _, x := range s {
		if x.Path == path || strings.HasPrefix(x.Path, path+".") {
			out = append(out, x)
		}
	}
	return out
}

// settingJSON is the form of one setting where settings are listed with their
// marks; a timeline line has a form of its own, see package timeline.
type settingJSON struct {
	Path      string `json:"path"`
	Value     Value  `json:"value"`
	Sensitive bool   `json:"sensitive,omitempty"`
	Unknown   bool   `json:"unknown,omitempty"`
}

// MarshalJSON writes {"path": …, "value": …} with the marks that are set.
func (s Setting) MarshalJSON() ([]byte, error) {
	return json.Marshal(settingJSON{s.Path, s.Value, s.Sensitive, s.Value.kind == UnknownKind})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Setting) UnmarshalJSON(data []byte) error {
	var j settingJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*s = Setting{Path: j.Path, Value: j.Value, Sensitive: j.Sensitive}
	if j.Unknown {
		s.Value = Unknown()
	}
	if j.Sensitive {
		if secret, ok := Secret(j.Value.Text()); ok {
			s.Value = secret
		}
	}
	return nil
}
