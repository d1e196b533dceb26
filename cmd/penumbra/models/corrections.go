package models

import (
	"context"
	"os"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/shadow/backtest"
)

// corrections judges the departure model on a history and its corrections.
func (a *app) corrections(ctx context.Context, f *backtestFlags, history []*penumbra.Observation) error {
	file, err := os.Open(f.corrections)
	if err != nil {
		return &penumbra.Error{Kind: penumbra.Missing, What: "read the corrections", Remedy: "check the file's name", Err: err}
	}
	defer file.Close()
	corrections, err := backtest.ReadCorrections(file)
	if err != nil {
		return err
	}
	o := backtest.CorrectionOptions{Every: f.options.Every, Alerts: f.options.Alerts, Bootstrap: f.options.Bootstrap, Seed: f.options.Seed}
	var end func()
	o.Progress, end = a.Progressing("backtest")
	report, err := backtest.Corrections(ctx, history, corrections, o)
	end()
	if err != nil {
		return err
	}
	if a.Output == "json" {
		return a.JSON(report)
	}
	return report.WriteText(a.Out)
}
