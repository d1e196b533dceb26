package console

import (
	"io"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Waiting runs f, with a spinner while it takes long on a terminal.
func (a *Console) Waiting(label string, f func() error) error {
	if !Colour(a.Err) || a.Output != "human" {
		return f()
	}
	progress := mpb.New(mpb.WithOutput(a.Err), mpb.WithAutoRefresh())
	bar := progress.New(0, mpb.SpinnerStyle(), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(label+" ")),
		mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO)))
	err := f()
	bar.SetTotal(1, true)
	progress.Wait()
	return err
}

// Reading returns r with a progress bar over its size on a terminal, and what
// ends the bar. A size of 0 is unknown.
func (a *Console) Reading(label string, r io.Reader, size int64) (io.Reader, func()) {
	if !Colour(a.Err) || a.Output != "human" {
		return r, func() {}
	}
	progress := mpb.New(mpb.WithOutput(a.Err), mpb.WithRefreshRate(200*time.Millisecond), mpb.WithAutoRefresh())
	bar := progress.AddBar(size,
		mpb.PrependDecorators(decor.Name(label+" "), decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.AverageSpeed(decor.SizeB1024(0), "% .1f"), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO)))
	end := func() {
		bar.SetTotal(-1, true)
		progress.Wait()
	}
	proxied, err := bar.ProxyReader(r)
	if err != nil {
		return r, end // a bar that stands still hinders nobody
	}
	return proxied, end
}

// Progressing returns what moves a bar to a share of the work, on a terminal,
// and what ends it.
func (a *Console) Progressing(label string) (func(share float64), func()) {
	if !Colour(a.Err) || a.Output != "human" {
		return nil, func() {}
	}
	const whole = 1000
	progress := mpb.New(mpb.WithOutput(a.Err), mpb.WithRefreshRate(200*time.Millisecond), mpb.WithAutoRefresh())
	bar := progress.AddBar(whole, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(label+" "), decor.Percentage()),
		mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO)))
	return func(share float64) { bar.SetCurrent(int64(share * whole)) }, func() {
		bar.SetTotal(-1, true)
		progress.Wait()
	}
}

// SizeOf returns the size of a regular file, 0 for anything else.
func SizeOf(f *os.File) int64 {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return info.Size()
}
