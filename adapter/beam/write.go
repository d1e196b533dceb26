package beam

import (
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"github.com/penumbra-iac/penumbra"
)

func init() {
	register.DoFn3x1[context.Context, int, func(*[]byte) bool, error](&writeFn{})
}

// writeFn writes the lines of one shard to a file, whole or not at all, so that a
// bundle that is tried again does no harm. Lines are in no order.
type writeFn struct {
	Folder, Name string
	Shards       int
}

// ProcessElement writes one file.
func (f *writeFn) ProcessElement(_ context.Context, shard int, lines func(*[]byte) bool) (err error) {
	defer func() {
		if err != nil {
			err = &penumbra.Error{Kind: penumbra.Refused, What: "write " + f.Name, Remedy: "name a folder that every worker may write", Err: err}
		}
	}()
	file, err := os.CreateTemp(f.Folder, "."+f.Name+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // nothing is there once it is renamed
	defer file.Close()
	z := gzip.NewWriter(file)
	var line []byte
	for lines(&line) {
		if _, err := z.Write(line); err != nil {
			return err
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	if err := file.Chmod(0o644); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), filepath.Join(f.Folder, shardName(f.Name, shard, f.Shards)))
}

func shardName(name string, shard, shards int) string {
	return fmt.Sprintf("%s-%05d-of-%05d.jsonl.gz", name, shard, shards)
}
