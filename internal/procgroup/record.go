package procgroup

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"time"
)

// lookEvery is how often a record is looked at for lines that have come.
const lookEvery = 100 * time.Millisecond

// RunRecorded starts the command with its output going to the record, waits for
// it, and hands each line over as soon as it is there, with its end, from one
// goroutine at a time. The output goes to a file and not into a pipe so that the
// command ends what it began should this process be killed. At most limit bytes
// are handed over, 0 for all. The first error is the command's, the second that of
// reading the record.
func RunRecorded(cmd *exec.Cmd, record *os.File, limit int64, line func([]byte)) (failed, unread error) {
	cmd.Stdout, cmd.Stderr = record, record
	if err := cmd.Start(); err != nil {
		return err, nil
	}
	f := follower{from: record, limit: limit, line: line}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case failed = <-ended:
			f.look()
			f.end()
			return failed, f.err
		case <-tick.C:
			f.look()
		}
	}
}

// follower reads on in a file that another process writes.
type follower struct {
	from    io.ReaderAt
	limit   int64
	line    func([]byte)
	at      int64
	partial []byte
	err     error
}

// look hands over the lines that are complete by now.
func (f *follower) look() {
	buffer := make([]byte, 32<<10)
	for f.err == nil {
		if f.limit > 0 {
			buffer = buffer[:min(int64(len(buffer)), f.limit-f.at)]
		}
		if len(buffer) == 0 {
			return
		}
		n, err := f.from.ReadAt(buffer, f.at)
		f.at += int64(n)
		f.partial = append(f.partial, buffer[:n]...)
		for {
			i := bytes.IndexByte(f.partial, '\n')
			if i < 0 {
				break
			}
			f.line(f.partial[:i+1])
			f.partial = f.partial[i+1:]
		}
		if err == io.EOF {
			return
		}
		f.err = err
	}
}

// end hands over what came after the last end of a line.
func (f *follower) end() {
	if len(f.partial) > 0 {
		f.line(f.partial)
		f.partial = nil
	}
}
