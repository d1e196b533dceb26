package otlp

import (
	"encoding/json"
	"strings"

	"github.com/penumbra-iac/penumbra/internal/intake"
)

// What holds what in OTLP's messages, by field number (opentelemetry-proto 1.7:
// common.proto, resource.proto, logs.proto, metrics.proto). 1000 are the fields
// of old senders that the decoder still reads.
var (
	anyValue  = &intake.Message{}
	keyValue  = &intake.Message{2: anyValue}
	resource  = &intake.Message{1: keyValue, 3: {}}
	scope     = &intake.Message{3: keyValue}
	logRecord = &intake.Message{5: anyValue, 6: keyValue}
	scopeLogs = &intake.Message{1: scope, 2: logRecord}
	logsShape = &intake.Message{1: {1: resource, 2: scopeLogs, 1000: scopeLogs}}

	exemplar  = &intake.Message{7: keyValue}
	number    = &intake.Message{5: exemplar, 7: keyValue}
	histogram = &intake.Message{8: exemplar, 9: keyValue}
	// The buckets of an exponential histogram are packed numbers.
	exponential  = &intake.Message{1: keyValue, 8: {}, 9: {}, 11: exemplar}
	summary      = &intake.Message{6: {}, 7: keyValue}
	metric       = &intake.Message{5: {1: number}, 7: {1: number}, 9: {1: histogram}, 10: {1: exponential}, 11: {1: summary}, 12: keyValue}
	scopeMetrics = &intake.Message{1: scope, 2: metric}
	metricsShape = &intake.Message{1: {1: resource, 2: scopeMetrics, 1000: scopeMetrics}}
)

func init() {
	// A value may be a list or a map of values.
	(*anyValue)[5] = &intake.Message{1: anyValue}
	(*anyValue)[6] = &intake.Message{1: keyValue}
}

// quote writes a JSON string.
func quote(text string) string {
	b, err := json.Marshal(strings.ToValidUTF8(text, "\uFFFD"))
	if err != nil {
		return `""` // a string always can be written
	}
	return string(b)
}
