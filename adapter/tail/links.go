package tail

import (
	"io/fs"
	"syscall"
)

// links returns how many names lead to a file.
func links(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink)
	}
	return 1
}
