package beam

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/beam/sdks/v2/go/pkg/beam/register"

	"github.com/penumbra-iac/penumbra"
)

func init() {
	register.DoFn3x1[context.Context, int, func(*[]byte) bool, error](&writeFn{})
	register.DoFn3x1[context.Context, int, func(*[]byte) bool, error](&keepFn{})
}

// writeFn writes the scores of one shard to a file. Lines are in no order.
type writeFn struct {
	Folder string
	Shards int
	Format string // its ending
}

// ProcessElement writes one file.
func (f *writeFn) ProcessElement(_ context.Context, shard int, lines func(*[]byte) bool) error {
	name := filepath.Join(f.Folder, fmt.Sprintf("scores-%05d-of-%05d.%s", shard, f.Shards, f.Format))
	return writeWhole(name, newScoredRow, func(w io.Writer) error { return copyLines(w, lines) })
}

// keepFn writes what could not be read to a file.
type keepFn struct{ File string }

// ProcessElement writes the file.
func (f *keepFn) ProcessElement(_ context.Context, _ int, lines func(*[]byte) bool) error {
	return writeWhole(f.File, newScoredRow, func(w io.Writer) error { return copyLines(w, lines) })
}

func copyLines(w io.Writer, lines func(*[]byte) bool) error {
	var line []byte
	for lines(&line) {
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// writeWhole writes lines to a file, whole or not at all, so that a bundle that is
// tried again does no harm. The file's ending says the form: Parquet with a row of
// each line, lines compressed by gzip, or lines. It returns an error of kind Refused
// if the file cannot be written.
func writeWhole[T any](name string, row func([]byte) (T, error), write func(io.Writer) error) (err error) {
	defer func() {
		if known := (*penumbra.Error)(nil); err != nil && !errors.As(err, &known) {
			err = &penumbra.Error{Kind: penumbra.Refused, What: "write " + filepath.Base(name), Remedy: "name a folder that every worker may write", Err: err}
		}
	}()
	file, err := os.CreateTemp(filepath.Dir(name), ".penumbra-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // nothing is there once it is renamed
	defer file.Close()
	var w io.WriteCloser = plainFile{file}
	switch {
	case isParquet(name):
		w = newParquetWriter(file, row)
	case strings.HasSuffix(name, ".gz"):
		w = gzip.NewWriter(file)
	}
	if err := write(w); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := file.Chmod(0o644); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}

// plainFile stays open when what writes to it is closed.
type plainFile struct{ io.Writer }

func (plainFile) Close() error { return nil }
