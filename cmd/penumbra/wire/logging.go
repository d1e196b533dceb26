package wire

import (
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/telemetry"
)

// logConfig says how the daemon logs.
type logConfig struct {
	Format string `koanf:"format"` // text or json
	Level  string `koanf:"level"`  // debug, info, warn or error
}

// telemetryConfig says who may read what the daemon measures of itself.
type telemetryConfig struct {
	// OpenMetrics lets who can reach the daemon read its metrics without a credential.
	OpenMetrics bool `koanf:"open_metrics"`
}

func (l *logConfig) check() error {
	if l.Format != "" && !slices.Contains([]string{"text", "json"}, l.Format) {
		return &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("format is %q", l.Format), Remedy: "use text or json"}
	}
	_, err := l.level()
	return err
}

func (l *logConfig) level() (slog.Level, error) {
	level := slog.LevelInfo
	if l.Level == "" {
		return level, nil
	}
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return level, &penumbra.Error{Kind: penumbra.Invalid, What: fmt.Sprintf("level is %q", l.Level), Remedy: "use debug, info, warn or error"}
	}
	return level, nil
}

// Logger returns what the daemon logs with: JSON lines to w, or what text makes for a
// person. Each line has the request and the trace that it is of.
func (l *logConfig) Logger(w io.Writer, text func(slog.Level) *slog.Logger) *slog.Logger {
	level, err := l.level()
	if err != nil {
		level = slog.LevelInfo // it was checked when it was read
	}
	if l.Format != "json" {
		return slog.New(telemetry.Logs(text(level).Handler()))
	}
	return slog.New(telemetry.Logs(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})))
}
