package provider

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/penumbra-iac/penumbra/examples/provider/internal/conf"
)

// The keys of a file that are not simply the name of an attribute.
const (
	tagPrefix      = "tag."
	limitsPrefix   = "limits."
	upstreamPrefix = "upstream."
)

// numbers, texts and flags list the settings of a model by their key in the file.
func (m *serviceModel) numbers() map[string]*types.Int64 {
	return map[string]*types.Int64{
		"listen_port":      &m.ListenPort,
		"worker_processes": &m.WorkerProcesses,
		"max_connections":  &m.MaxConnections,
		"memory_mb":        &m.MemoryMB,
	}
}

func (m *serviceModel) texts() map[string]*types.String {
	return map[string]*types.String{"log_level": &m.LogLevel, "admin_password": &m.AdminPassword}
}

func (m *serviceModel) flags() map[string]*types.Bool {
	return map[string]*types.Bool{"tls": &m.TLS}
}

func (l *limitsModel) numbers() map[string]*types.Int64 {
	return map[string]*types.Int64{
		limitsPrefix + "requests_per_second": &l.RequestsPerSecond,
		limitsPrefix + "burst":               &l.Burst,
		limitsPrefix + "timeout_seconds":     &l.TimeoutSeconds,
	}
}

// reader takes settings out of a file: it remembers which keys it was asked for, so that the
// rest is known, and collects a diagnostic for each value that has the wrong type.
type reader struct {
	file  *conf.File
	path  string
	used  map[string]bool
	diags diag.Diagnostics
}

func (r *reader) text(key string) types.String {
	r.used[key] = true
	if value, _, found := r.file.Get(key); found {
		return types.StringValue(value)
	}
	return types.StringNull()
}

func (r *reader) number(key string, at path.Path) types.Int64 {
	r.used[key] = true
	value, line, found := r.file.Get(key)
	if !found {
		return types.Int64Null()
	}
	number, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		r.diags.Append(r.badValue(at, line, key, value, "a whole number"))
		return types.Int64Null()
	}
	return types.Int64Value(number)
}

func (r *reader) flag(key string, at path.Path) types.Bool {
	r.used[key] = true
	value, line, found := r.file.Get(key)
	if !found {
		return types.BoolNull()
	}
	flag, err := parseFlag(value)
	if err != nil {
		r.diags.Append(r.badValue(at, line, key, value, "true or false"))
		return types.BoolNull()
	}
	return types.BoolValue(flag)
}

// badValue is the diagnostic of a value that has the wrong type.
func (r *reader) badValue(at path.Path, line int, key, value, want string) diag.Diagnostic {
	return diag.NewAttributeErrorDiagnostic(at, "Unreadable value in configuration file",
		fmt.Sprintf("%s, line %d: %s is %q, which is not %s.\n\nCorrect the value, or delete the line, and run again.",
			r.path, line, key, value, want))
}

// parseFlag reads the spellings of a boolean that people write in such files.
func parseFlag(value string) (bool, error) {
	switch strings.ToLower(value) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", value)
}

// observe sets every setting of the model to what the file says; one that the file lacks
// becomes null. An empty object, list or map of before stays empty rather than null, since a
// file has no way to tell the two apart.
func (m *serviceModel) observe(file *conf.File) diag.Diagnostics {
	r := &reader{file: file, path: m.file(), used: make(map[string]bool)}
	m.ID, m.Path = types.StringValue(m.file()), types.StringValue(m.file())
	for key, target := range m.numbers() {
		*target = r.number(key, path.Root(key))
	}
	for key, target := range m.texts() {
		*target = r.text(key)
	}
	for key, target := range m.flags() {
		*target = r.flag(key, path.Root(key))
	}
	m.observeLimits(r)
	m.observeUpstreams(r)
	m.observeTags(r)

	rest := make(map[string]attr.Value)
	for _, key := range file.Keys() {
		if !r.used[key] {
			rest[key] = r.text(key)
		}
	}
	m.Unmanaged = types.MapValueMust(types.StringType, rest)
	return r.diags
}

func (m *serviceModel) observeLimits(r *reader) {
	limits, declared := &limitsModel{}, false
	for key, target := range limits.numbers() {
		*target = r.number(key, path.Root("limits").AtName(strings.TrimPrefix(key, limitsPrefix)))
		declared = declared || !target.IsNull()
	}
	if declared || m.Limits != nil {
		m.Limits = limits
	}
}

func (m *serviceModel) observeUpstreams(r *reader) {
	var upstreams []upstreamModel
	if m.Upstreams != nil {
		upstreams = []upstreamModel{}
	}
	for i, number := range upstreamNumbers(r.file) {
		at := path.Root("upstreams").AtListIndex(i)
		prefix := upstreamPrefix + strconv.Itoa(number) + "."
		upstreams = append(upstreams, upstreamModel{
			Address: r.text(prefix + "address"),
			Weight:  r.number(prefix+"weight", at.AtName("weight")),
		})
	}
	m.Upstreams = upstreams
}

func (m *serviceModel) observeTags(r *reader) {
	tags := make(map[string]attr.Value)
	for _, key := range r.file.Keys() {
		if name, isTag := strings.CutPrefix(key, tagPrefix); isTag && name != "" {
			tags[name] = r.text(key)
		}
	}
	if len(tags) > 0 || !m.Tags.IsNull() {
		m.Tags = types.MapValueMust(types.StringType, tags)
	}
}

// upstreamNumbers lists the numbers of the upstreams of a file in ascending order. A number
// counts once one of its known keys is there.
func upstreamNumbers(file *conf.File) []int {
	found := make(map[int]bool)
	for _, key := range file.Keys() {
		rest, isUpstream := strings.CutPrefix(key, upstreamPrefix)
		digits, field, _ := strings.Cut(rest, ".")
		if !isUpstream || field != "address" && field != "weight" {
			continue
		}
		// 01 and +1 are other keys than 1, so they stay unmanaged.
		if number, err := strconv.Atoi(digits); err == nil && number >= 0 && strconv.Itoa(number) == digits {
			found[number] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// declare writes what the model declares into a file, and nothing else: a setting that is null
// or unknown in the model keeps its line. Limits, upstreams and the tags of a declared map are
// the exception, since for them absent means none.
func (m *serviceModel) declare(file *conf.File) error {
	var failed []error
	set := func(key, value string) {
		if err := file.Set(key, value); err != nil {
			failed = append(failed, err)
		}
	}
	setNumber := func(key string, value types.Int64) {
		want := strconv.FormatInt(value.ValueInt64(), 10)
		if old, _, found := file.Get(key); found {
			if number, err := strconv.ParseInt(old, 10, 64); err == nil && number == value.ValueInt64() {
				return // 08 for 8 is a matter of taste, not a difference
			}
		}
		set(key, want)
	}

	// Sorted, so that the same configuration always makes the same file.
	for _, key := range sortedKeys(m.numbers()) {
		if value := *m.numbers()[key]; known(value) {
			setNumber(key, value)
		}
	}
	for _, key := range sortedKeys(m.texts()) {
		if value := *m.texts()[key]; known(value) {
			set(key, value.ValueString())
		}
	}
	for _, key := range sortedKeys(m.flags()) {
		value := *m.flags()[key]
		old, _, _ := file.Get(key)
		if flag, err := parseFlag(old); known(value) && (err != nil || flag != value.ValueBool()) {
			set(key, strconv.FormatBool(value.ValueBool()))
		}
	}

	limits := m.Limits
	if limits == nil {
		limits = &limitsModel{}
	}
	for _, key := range sortedKeys(limits.numbers()) {
		if value := *limits.numbers()[key]; known(value) {
			setNumber(key, value)
		} else {
			file.Delete(key)
		}
	}

	for _, number := range upstreamNumbers(file) {
		if number >= len(m.Upstreams) {
			file.Delete(upstreamPrefix + strconv.Itoa(number) + ".address")
			file.Delete(upstreamPrefix + strconv.Itoa(number) + ".weight")
		}
	}
	for i, upstream := range m.Upstreams {
		prefix := upstreamPrefix + strconv.Itoa(i) + "."
		set(prefix+"address", upstream.Address.ValueString())
		if known(upstream.Weight) {
			setNumber(prefix+"weight", upstream.Weight)
		} else {
			file.Delete(prefix + "weight")
		}
	}

	if known(m.Tags) {
		tags := m.Tags.Elements()
		for _, key := range file.Keys() {
			name, isTag := strings.CutPrefix(key, tagPrefix)
			if _, wanted := tags[name]; isTag && name != "" && !wanted {
				file.Delete(key)
			}
		}
		for _, name := range sortedKeys(tags) {
			if value, isText := tags[name].(types.String); isText && known(value) {
				set(tagPrefix+name, value.ValueString())
			}
		}
	}
	return errors.Join(failed...)
}

// settle replaces the settings of a plan that are still unknown by what the file says. Known
// ones stay as planned, even if the file was edited since: the protocol demands it, and the
// next refresh shows the edit as drift.
func (m *serviceModel) settle(file *conf.File) diag.Diagnostics {
	seen := serviceModel{Directory: m.Directory, Name: m.Name}
	diags := seen.observe(file)
	m.ID, m.Path = seen.ID, seen.Path
	for key, target := range m.numbers() {
		settleOne(target, *seen.numbers()[key])
	}
	for key, target := range m.texts() {
		settleOne(target, *seen.texts()[key])
	}
	for key, target := range m.flags() {
		settleOne(target, *seen.flags()[key])
	}
	if seen.Tags.IsNull() {
		seen.Tags = types.MapNull(types.StringType)
	}
	settleOne(&m.Tags, seen.Tags)
	settleOne(&m.Unmanaged, seen.Unmanaged)
	return diags
}

func settleOne[T attr.Value](target *T, seen T) {
	if (*target).IsUnknown() {
		*target = seen
	}
}

func known(value attr.Value) bool { return !value.IsNull() && !value.IsUnknown() }

func sortedKeys[V any](values map[string]V) []string { return slices.Sorted(maps.Keys(values)) }

// loadProblem is the diagnostic of a file that cannot be read.
func loadProblem(file string, err error) diag.Diagnostic {
	var syntax *conf.SyntaxError
	if errors.As(err, &syntax) {
		return diag.NewErrorDiagnostic("Unreadable line in configuration file",
			fmt.Sprintf("%s, line %d: %s.\n\n%s", file, syntax.Line, syntax.Problem, syntax.Remedy))
	}
	remedy := "Make the file readable for the user who runs this, and run again."
	if !errors.Is(err, fs.ErrPermission) {
		remedy = "Put a regular file there, or remove what is in its place, and run again."
	}
	return diag.NewErrorDiagnostic("Configuration file cannot be read", fmt.Sprintf("%s: %s.\n\n%s", file, reason(err), remedy))
}

// reason returns what the operating system said, without the operation and path around it.
func reason(err error) error {
	var failure *fs.PathError
	if errors.As(err, &failure) {
		return failure.Err
	}
	return err
}
