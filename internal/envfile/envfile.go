// Package envfile reads files of credentials: lines NAME=value, which a tool gets
// in its environment when it is started and at no other time.
package envfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/joho/godotenv"

	"github.com/penumbra-iac/penumbra"
)

// largest is in bytes.
const largest = 1 << 20

// Read returns the lines of the file as NAME=value, by name; nothing for the path
// "". It reads anew each time, so that whoever renews credentials need not tell the
// daemon. Names that start with a refused prefix are not for such a file. Errors are
// of kind Invalid or Missing, and tell nothing of what is in the file.
func Read(path string, refused ...string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	what := "credentials " + path
	f, err := os.Open(path)
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Missing, What: what, Err: errors.Unwrap(err), Remedy: "make the file, with lines NAME=value, readable by the daemon's user alone"}
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > largest {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: what + ": not a regular file of at most 1 MiB", Remedy: "name a file with lines NAME=value"}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%s: others than its owner may read or write it (mode %o)", what, info.Mode().Perm()), Remedy: "chmod 600 " + path}
	}
	data, err := io.ReadAll(io.LimitReader(f, largest))
	if err != nil {
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: what + ": cannot be read"}
	}
	values, err := godotenv.Parse(bytes.NewReader(data))
	if err != nil { // its text quotes the line
		return nil, &penumbra.Error{Kind: penumbra.Invalid, What: what + ": not lines of NAME=value", Remedy: "quote values that have spaces or a # in them"}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if slices.ContainsFunc(refused, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			return nil, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("%s: %s is no credential", what, name), Remedy: "set it in the environment of the daemon, where the code is read with it"}
		}
		out = append(out, name+"="+values[name])
	}
	penumbra.ConcealNamed(out) // a tool's error may have one in it
	return out, nil
}
