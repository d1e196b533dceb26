package otlp

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/internal/intake"
)

// maxAttributes is how many attributes of its own a record keeps: the limit that
// OpenTelemetry's SDKs have by default.
const maxAttributes = 128

// The attributes that name what a record is about, the most specific first, by
// OpenTelemetry's semantic conventions.
var targetNames = [...]string{
	"cloud.resource_id", "k8s.pod.name", "container.name", "container.id",
	"k8s.statefulset.name", "k8s.deployment.name", "k8s.daemonset.name", "k8s.cronjob.name", "k8s.job.name",
	"service.instance.id", "host.name", "host.id", "k8s.node.name", "service.name",
}

// The attributes that name who acted.
var actorNames = [...]string{"enduser.id", "user.name", "user.email", "user.id"}

// Where a body that is a map keeps its text.
var messageNames = [...]string{"message", "msg", "log"}

// Logs returns a handler for OTLP/HTTP logs, usually at /v1/logs. Each log record
// becomes a [penumbra.Record] of format "otlp":
//
//   - its time, else when it was observed, else when it came; also if its time is
//     further ahead than the limits allow, which is kept as "time.as_sent";
//   - ID is log.record.uid, Action the event's name, Actor enduser.id, user.name,
//     user.email or user.id, Via the service's name;
//   - Targets name the resource: cloud.resource_id, pod, container, host, service;
//   - Message is the body's text. A body that is a map gives "body.…" attributes,
//     and its "message", "msg" or "log" is the text;
//   - all other attributes of record, scope and resource are kept by name, with
//     severity and trace_id.
//
// A record with neither body nor event name nor attributes is rejected. sink gets
// at most 2,048 records at a time; it may be called by several requests at once,
// and is given records again if it failed for a later part of the same request.
func Logs(input string, key penumbra.Key, limits Limits, sink func(context.Context, []penumbra.Record) error) *Receiver {
	limits = limits.WithDefaults()
	h := newReceiver(limits, logsShape, "rejectedLogRecords")
	h.take = func(ctx context.Context, body []byte, isJSON bool, now time.Time) (outcome, error) {
		decode := (&plog.ProtoUnmarshaler{}).UnmarshalLogs
		if isJSON {
			decode = (&plog.JSONUnmarshaler{}).UnmarshalLogs
		}
		logs, err := decode(body)
		if err != nil {
			return outcome{}, undecodable(err)
		}
		r := recorder{input: input, key: key, limits: limits, now: now, sink: func(records []penumbra.Record) error { return sink(ctx, records) }}
		err = r.all(logs)
		return r.outcome, err
	}
	return h
}

// recorder turns one request's log records into Penumbra's.
type recorder struct {
	input  string
	key    penumbra.Key
	limits intake.Limits
	now    time.Time
	sink   func([]penumbra.Record) error

	outcome
	records []penumbra.Record
}

// origin is what the records of one resource and scope share.
type origin struct {
	attributes map[string]string
	targets    []string
	service    string
}

func (r *recorder) all(logs plog.Logs) error {
	for _, ofResource := range logs.ResourceLogs().All() {
		base := origin{attributes: map[string]string{}}
		r.put(base.attributes, "", ofResource.Resource().Attributes(), r.limits.Labels)
		base.targets = slices.Clip(targets(nil, base.attributes)) // records share it
		base.service = base.attributes["service.name"]
		for _, ofScope := range ofResource.ScopeLogs().All() {
			from := base
			if name := ofScope.Scope().Name(); name != "" {
				from.attributes = maps.Clone(base.attributes)
				from.attributes["scope.name"] = intake.Text(name, r.limits.LabelValue)
			}
			for _, record := range ofScope.LogRecords().All() {
				if err := r.one(&from, record); err != nil {
					return err
				}
			}
		}
	}
	return r.flush()
}

// one turns one log record into a record, or rejects it.
func (r *recorder) one(from *origin, l plog.LogRecord) error {
	own := make(map[string]string, len(from.attributes)+l.Attributes().Len()+2)
	r.put(own, "", l.Attributes(), maxAttributes)
	rec := penumbra.Record{
		Format: "otlp", Input: r.input,
		ID: own["log.record.uid"], Via: from.service, Action: intake.Text(l.EventName(), r.limits.LabelValue),
		Targets: from.targets, Attributes: own,
	}
	if rec.Action == "" {
		rec.Action = own["event.name"] // where it was before it had a field
	}
	for _, name := range actorNames {
		if rec.Actor = own[name]; rec.Actor != "" {
			break
		}
	}
	if mine := targets(nil, own); len(mine) > 0 {
		rec.Targets = mine
		for _, t := range from.targets {
			if !slices.Contains(mine, t) {
				rec.Targets = append(rec.Targets, t)
			}
		}
	}
	rec.Message = r.message(l.Body(), own)
	if rec.Message == "" && rec.Action == "" {
		rec.Message = intake.Text(sentence(own), r.limits.Text)
	}
	rec.Time = r.when(l, own)
	if err := rec.Check(); err != nil {
		r.reject(1, err)
		return nil
	}
	for name, value := range from.attributes {
		if _, closer := own[name]; !closer {
			own[name] = value
		}
	}
	if severity := l.SeverityText(); severity != "" {
		own["severity"] = intake.Text(severity, r.limits.LabelValue)
	} else if n := l.SeverityNumber(); n != plog.SeverityNumberUnspecified {
		own["severity"] = n.String()
	}
	if trace := l.TraceID(); !trace.IsEmpty() {
		own["trace_id"] = trace.String()
	}
	r.records = append(r.records, rec)
	if len(r.records) == batch {
		return r.flush()
	}
	return nil
}

func (r *recorder) flush() error {
	if len(r.records) == 0 {
		return nil
	}
	if err := r.sink(r.records); err != nil {
		return err
	}
	r.taken += int64(len(r.records))
	r.records = nil // they are the sink's now
	return nil
}

// epoch is before any log was sent: an older time is a clock that was never set.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// when returns a record's time, and notes in its attributes if it is not the one
// that was sent.
func (r *recorder) when(l plog.LogRecord, own map[string]string) time.Time {
	for _, stamp := range [...]pcommon.Timestamp{l.Timestamp(), l.ObservedTimestamp()} {
		if t := stamp.AsTime(); t.After(epoch) && !t.After(r.now.Add(r.limits.Ahead)) {
			return t
		}
		if stamp != 0 && own["time.as_sent"] == "" {
			own["time.as_sent"] = stamp.AsTime().Format(time.RFC3339Nano)
		}
	}
	return r.now.UTC()
}

// message returns a body's text and puts the fields of a map among the attributes.
func (r *recorder) message(body pcommon.Value, own map[string]string) string {
	if body.Type() != pcommon.ValueTypeMap {
		return intake.Text(body.AsString(), r.limits.Text)
	}
	fields := map[string]string{}
	r.put(fields, "", body.Map(), maxAttributes)
	for name, value := range fields {
		own["body."+name] = value
	}
	for _, name := range messageNames {
		if text := fields[name]; text != "" {
			delete(own, "body."+name)
			return text
		}
	}
	return intake.Text(sentence(fields), r.limits.Text)
}

// put adds at most most of the attributes to out, nested ones by path, secrets
// sealed and texts redacted. What does not fit is counted in "attributes.dropped".
func (r *recorder) put(out map[string]string, prefix string, attributes pcommon.Map, most int) {
	n := 0
	add := func(name string, v penumbra.Value) {
		if n++; n > most {
			return
		}
		name = intake.Text(name, r.limits.LabelName)
		if penumbra.LooksSecret(name, v) {
			v = r.key.Seal(v)
			out[name] = v.Text()
			return
		}
		out[name] = intake.Text(v.Text(), r.limits.Text)
	}
	for name, value := range attributes.All() {
		path := prefix + name
		switch value.Type() {
		case pcommon.ValueTypeStr:
			add(path, penumbra.String(value.Str()))
		case pcommon.ValueTypeMap, pcommon.ValueTypeSlice:
			for _, s := range penumbra.Flatten(map[string]any{path: value.AsRaw()}, nil) {
				add(s.Path, s.Value)
			}
		case pcommon.ValueTypeEmpty:
		default: // numbers, booleans, and bytes in base64
			add(path, penumbra.String(value.AsString()))
		}
	}
	if n > most {
		out["attributes.dropped"] = strconv.Itoa(n - most)
	}
}

// targets appends what the attributes name to list.
func targets(list []string, attributes map[string]string) []string {
	for _, name := range targetNames {
		if v := attributes[name]; v != "" && !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// sentence writes attributes as one text, in the order of their names.
func sentence(attributes map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(name)
		b.WriteByte('=')
		b.WriteString(attributes[name])
	}
	return b.String()
}
