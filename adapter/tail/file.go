package tail

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// key is what a file keeps when it is renamed. The system gives it to another
// file after a removal, so it counts only together with what is in the file.
type key struct {
	Dev, Ino uint64
}

func keyOf(info fs.FileInfo) key {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return key{uint64(s.Dev), s.Ino}
	}
	return key{}
}

// Lengths of what is compared to know a file again.
const (
	headSize = 256
	tailSize = 256
)

// file is one file as far as it was read. Its exported fields are the cursor.
type file struct {
	Key    key
	Path   string
	Name   string // stands for the file in the IDs of its lines
	Offset int64  // after the last line handed over
	Head   []byte // digest of the first min(headSize, Offset) bytes
	Tail   []byte // digest of the last min(tailSize, Offset) bytes before Offset
	// Size and Modified are of a compressed file when it was last read.
	Size     int64     `json:",omitempty"`
	Modified time.Time `json:",omitzero"`

	head, tail []byte // the bytes themselves, as far as known
	pending    []byte // a line without its end, cut to the longest allowed
	skipped    int64  // bytes of that line that were left out
	handle     *os.File
	recent     []byte // the last bytes read, of a line that is not complete too
	truncated  bool

	z           *gzip.Reader // of a compressed file that is being read
	rest        []byte       // what of its text was not cut yet
	sizeNow     int64        // of it when its reading began
	modifiedNow time.Time
}

func (k *file) zipped() bool   { return strings.HasSuffix(k.Path, ".gz") }
func (k *file) readable() bool { return k.handle != nil && !k.truncated }
func (k *file) pos() int64     { return k.Offset + int64(len(k.pending)) + k.skipped }

func (k *file) close() {
	if k.handle != nil {
		k.handle.Close()
		k.handle = nil
	}
	k.pending, k.skipped, k.recent, k.z, k.rest = nil, 0, nil, nil, nil
}

// read returns up to limit lines; more is set if there may be others at once.
func (k *file) read(maxLine, limit int) (lines []Line, more bool, err error) {
	if k.zipped() {
		return k.readZipped(maxLine, limit)
	}
	buf := make([]byte, 128<<10)
	n, err := k.handle.ReadAt(buf, k.pos())
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	// Looked at after the bytes were read: what was truncated before is told.
	if !k.unchanged() {
		k.truncated = true
		return nil, false, nil
	}
	lines, left := k.split(buf[:n], maxLine, limit)
	k.recent = append(k.recent, buf[max(0, n-left-tailSize):n-left]...)
	k.recent = append(k.recent[:0], k.recent[max(0, len(k.recent)-tailSize):]...)
	return lines, left > 0 || n == len(buf), nil
}

// unchanged reports whether the file still has the bytes that were read.
func (k *file) unchanged() bool {
	info, err := k.handle.Stat()
	if err != nil || info.Size() < k.pos() {
		return false
	}
	if len(k.recent) == 0 {
		k.recent = bytes.Clone(k.tail) // nothing was read since it was opened
	}
	have := make([]byte, len(k.recent))
	_, err = k.handle.ReadAt(have, k.pos()-int64(len(have)))
	return (err == nil || errors.Is(err, io.EOF)) && bytes.Equal(have, k.recent)
}

// split cuts what follows the position into lines. It stops after limit of
// them and says how many bytes are left.
func (k *file) split(buf []byte, maxLine, limit int) (lines []Line, left int) {
	for len(buf) > 0 {
		if len(lines) >= limit {
			return lines, len(buf)
		}
		end := bytes.IndexByte(buf, '\n')
		part := buf
		if end >= 0 {
			part = buf[:end]
		}
		text := part
		if len(k.pending) > 0 || end < 0 || len(text) > maxLine {
			keep := min(len(part), maxLine-len(k.pending))
			k.pending = append(k.pending, part[:keep]...)
			k.skipped += int64(len(part) - keep)
			text = k.pending
		}
		if end < 0 {
			return lines, 0
		}
		lines = append(lines, k.line(text))
		buf = buf[end+1:]
	}
	return lines, 0
}

// line ends a line whose text is text, and k.skipped bytes more.
func (k *file) line(text []byte) Line {
	if k.Name == "" {
		k.Name = nameOf(k.Path, text)
	}
	h := fnv.New64a()
	h.Write(text)
	id := make([]byte, 0, 56)
	id = append(append(id, k.Name...), '-')
	id = strconv.AppendInt(id, k.Offset, 16)
	id = append(id, '-')
	id = hex.AppendEncode(id, binary.BigEndian.AppendUint64(nil, h.Sum64()))
	out := Line{Text: bytes.TrimSuffix(text, []byte{'\r'}), Path: k.Path, ID: string(id), Offset: k.Offset, Oversize: k.skipped > 0}
	k.Offset += int64(len(text)) + k.skipped + 1
	if k.skipped > 0 {
		// The end of a long line is not kept: it is known by its head alone.
		k.tail = nil
	}
	k.tail = lastOf(k.tail, text)
	if start := k.Offset - int64(len(text)) - 1; int64(len(k.head)) == start && start < headSize {
		k.head = append(append(k.head, text[:min(len(text), headSize)]...), '\n')
	}
	k.pending, k.skipped = nil, 0
	return out
}

// lastOf returns the last bytes of tail, text and a line's end, in memory of
// its own.
func lastOf(tail, text []byte) []byte {
	if len(text) > tailSize-1 {
		text = text[len(text)-tailSize+1:]
	}
	if over := len(tail) + len(text) + 1 - tailSize; over > 0 {
		tail = append(tail[:0], tail[over:]...)
	}
	return append(append(tail, text...), '\n')
}

var rotation = regexp.MustCompile(`[0-9]+|\.gz$`)

// nameOf returns what stands for a file in the IDs of its lines: a digest of its
// path without what rotation adds, and of its first line. A copy of a file has
// the same, so that what it repeats is known for it.
func nameOf(path string, first []byte) string {
	dir, base := filepath.Split(path)
	base = strings.TrimRight(rotation.ReplaceAllString(base, ""), ".-_")
	h := sha256.New()
	io.WriteString(h, dir+base+"\x00")
	h.Write(first[:min(len(first), 1024)])
	return hex.EncodeToString(h.Sum(nil)[:8])
}

func digest(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:8]
}

// readZipped reads a compressed file on. A file that is still being written
// ends too early; it is read again from the last whole line when it has changed.
func (k *file) readZipped(maxLine, limit int) (lines []Line, more bool, err error) {
	if k.z == nil {
		info, err := k.handle.Stat()
		if err != nil {
			return nil, false, err
		}
		k.sizeNow, k.modifiedNow = info.Size(), info.ModTime()
		if k.z, err = unzip(k.handle); err == nil {
			_, err = io.CopyN(io.Discard, k.z, k.Offset)
		}
		if err != nil {
			return nil, false, k.zippedEnd(err)
		}
	}
	for len(lines) < limit {
		if len(k.rest) == 0 {
			buf := make([]byte, 64<<10)
			n, err := k.z.Read(buf)
			if n == 0 && err != nil {
				if errors.Is(err, io.EOF) && len(k.pending) > 0 {
					lines = append(lines, k.line(k.pending)) // it will not be completed
				}
				return lines, false, k.zippedEnd(err)
			}
			k.rest = buf[:n]
		}
		got, left := k.split(k.rest, maxLine, limit-len(lines))
		k.rest = k.rest[len(k.rest)-left:]
		lines = append(lines, got...)
	}
	return lines, true, nil
}

// zippedEnd closes a compressed file until it changes. It returns err unless it
// is the regular end.
func (k *file) zippedEnd(err error) error {
	k.Size, k.Modified = k.sizeNow, k.modifiedNow
	k.close()
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// unzip reads from the beginning whatever the handle's position is.
func unzip(f *os.File) (*gzip.Reader, error) {
	return gzip.NewReader(bufio.NewReaderSize(io.NewSectionReader(f, 0, 1<<62), 64<<10))
}

// continues reports whether what f holds is what k was read from, up to where
// it was read.
func (k *file) continues(f *os.File, zipped bool) bool {
	if k.Offset == 0 || len(k.Head) == 0 {
		return false
	}
	head := make([]byte, min(headSize, k.Offset))
	tail := make([]byte, min(tailSize, k.Offset))
	if !zipped {
		if _, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
			return false
		}
		if !bytes.Equal(digest(head), k.Head) {
			return false
		}
		_, err := f.ReadAt(tail, k.Offset-int64(len(tail)))
		return (err == nil || errors.Is(err, io.EOF)) && bytes.Equal(digest(tail), k.Tail)
	}
	z, err := unzip(f)
	if err != nil {
		return false
	}
	if _, err := io.ReadFull(z, head); err != nil || !bytes.Equal(digest(head), k.Head) {
		return false
	}
	// The last bytes may overlap the first.
	skip := k.Offset - int64(len(tail)) - int64(len(head))
	if skip >= 0 {
		if _, err := io.CopyN(io.Discard, z, skip); err != nil {
			return false
		}
		_, err = io.ReadFull(z, tail)
		return err == nil && bytes.Equal(digest(tail), k.Tail)
	}
	all := make([]byte, k.Offset)
	copy(all, head)
	if _, err := io.ReadFull(z, all[len(head):]); err != nil {
		return false
	}
	return bytes.Equal(digest(all[len(all)-len(tail):]), k.Tail)
}

// remember brings the digests up to the offset; it reads what is not in memory.
func (k *file) remember() {
	n := int(min(headSize, k.Offset))
	if len(k.head) < n && k.handle != nil {
		k.head = k.bytes(0, n)
	}
	if len(k.head) >= n {
		k.Head = digest(k.head[:n])
	}
	t := int(min(tailSize, k.Offset))
	if len(k.tail) < t && k.handle != nil {
		k.tail = k.bytes(k.Offset-int64(t), t)
	}
	if len(k.tail) >= t {
		k.Tail = digest(k.tail[len(k.tail)-t:])
	}
}

func (k *file) bytes(at int64, n int) []byte {
	buf := make([]byte, n)
	if !k.zipped() {
		if got, _ := k.handle.ReadAt(buf, at); got < n {
			return nil
		}
		return buf
	}
	z, err := unzip(k.handle)
	if err != nil {
		return nil
	}
	if _, err := io.CopyN(io.Discard, z, at); err != nil {
		return nil
	}
	if _, err := io.ReadFull(z, buf); err != nil {
		return nil
	}
	return buf
}
