package main

import (
	"io"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// waiting runs f, with a spinner while it takes long on a terminal.
func (a *app) waiting(label string, f func() error) error {
	if !colour(a.err) || a.output != "human" {
		return f()
	}
	progress := mpb.New(mpb.WithOutput(a.err), mpb.WithAutoRefresh())
	bar := progress.New(0, mpb.SpinnerStyle(), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(label+" ")),
		mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO)))
	err := f()
	bar.SetTotal(1, true)
	progress.Wait()
	return err
}

// reading returns r with a progress bar over its size on a terminal, and what
// ends the bar. A size of 0 is unknown.
func (a *app) reading(label string, r io.Reader, size int64) (io.Reader, func()) {
	if !colour(a.err) || a.output != "human" {
		return r, func() {}
	}
	progress := mpb.New(mpb.WithOutput(a.err), mpb.WithRefreshRate(200*time.Millisecond), mpb.WithAutoRefresh())
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

// progressing returns what moves a bar to a share of the work, on a terminal,
// and what ends it.
func (a *app) progressing(label string) (func(share float64), func()) {
	if !colour(a.err) || a.output != "human" {
		return nil, func() {}
	}
	const whole = 1000
	progress := mpb.New(mpb.WithOutput(a.err), mpb.WithRefreshRate(200*time.Millisecond), mpb.WithAutoRefresh())
	bar := progress.AddBar(whole, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(label+" "), decor.Percentage()),
		mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO)))
	return func(share float64) { bar.SetCurrent(int64(share * whole)) }, func() {
		bar.SetTotal(-1, true)
		progress.Wait()
	}
}

// sizeOf returns the size of a regular file, 0 for anything else.
func sizeOf(f *os.File) int64 {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return info.Size()
}
