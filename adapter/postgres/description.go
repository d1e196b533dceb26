package postgres

import (
	_ "embed"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// Description says what a server knows of one of its settings.
type Description struct {
	Name     string
	Category string // the server's own heading: "Resource Usage / Memory"
	// Context is what a change needs: "internal" (cannot be changed),
	// "postmaster" (a restart), "sighup" (a reload), "superuser-backend" and
	// "backend" (a reload, for new sessions), "superuser" and "user" (a reload;
	// a session may have its own).
	Context  string
	VarType  string   // "bool", "integer", "real", "string", "enum"
	Unit     string   // of a bare number: "kB", "8kB", "ms"; "" if it has none
	Min, Max string   // of numbers, in Unit; "" for others
	EnumVals []string // of an enum
	Default  string   // what the server was built with, spelt as [Canonical] does
}

// Restart reports whether a change takes effect only when the server is
// started again.
func (d Description) Restart() bool { return d.Context == "postmaster" }

// known is the catalogue of PostgreSQL 15, one setting a line: name, context,
// type, unit, and the enum's values with commas. TestCatalogue writes it from a
// real server.
//
//go:embed settings.txt
var known string

var catalogue = readCatalogue(known)

func readCatalogue(text string) map[string]Description {
	out := make(map[string]Description)
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 5 {
			continue
		}
		d := Description{Name: f[0], Context: f[1], VarType: f[2], Unit: f[3]}
		if f[4] != "" {
			d.EnumVals = strings.Split(f[4], ",")
		}
		out[strings.ToLower(d.Name)] = d
	}
	return out
}

// Canonical returns value in the one spelling in which the server shows it, so
// that "4096kB", "4 MB" and "4096" of work_mem all become "4MB", and "TRUE" of
// fsync becomes "on". It knows the settings of PostgreSQL 15; of a setting that
// it does not know, and of a value that the server would not take, it returns
// the text as it is. A server's own [Server.Describe] knows the settings of its
// version and extensions, see [Description.Canonical].
func Canonical(name, value string) string {
	return catalogue[strings.ToLower(name)].Canonical(value)
}

// Canonical is the function [Canonical] for the setting that d describes.
func (d Description) Canonical(value string) string {
	text, _ := d.spell(value)
	return text
}

// spell returns value as the server shows it; ok is false, and the text as it
// was, where the server would not take it.
func (d Description) spell(value string) (text string, ok bool) {
	switch d.VarType {
	case "bool":
		if b, ok := parseBool(value); ok {
			return onOff(b), true
		}
		return value, false
	case "enum":
		return d.spellEnum(value)
	case "integer":
		n, ok := parseAmount(value, d.Unit, 0)
		n = math.RoundToEven(n)
		if !ok || math.Abs(n) > 1<<53 || octal[d.Name] && (n < 0 || n > 0o777) {
			return value, false
		}
		return d.showInteger(int64(n)), true
	case "real":
		n, ok := parseAmount(value, d.Unit, 10)
		if !ok {
			return value, false
		}
		return showReal(n, d.Unit), true
	default:
		return value, true
	}
}

func (d Description) spellEnum(value string) (string, bool) {
	if b, ok := parseBool(value); d.Name == "wal_compression" && ok && b {
		return "pglz", true // what on means since it has a choice
	}
	for _, v := range d.EnumVals {
		if strings.EqualFold(v, value) {
			return v, true
		}
	}
	// Older spellings that a server takes and does not list.
	if b, ok := parseBool(value); ok && slices.Contains(d.EnumVals, "on") {
		return onOff(b), true
	}
	switch v := strings.ToLower(value); {
	case d.Name == "wal_level" && (v == "archive" || v == "hot_standby"):
		return "replica", true
	case v == "debug" && slices.Contains(d.EnumVals, "debug2"):
		return "debug2", true
	}
	return value, false
}

// parseBool takes what the server takes: on, off, 1, 0, and any beginning of
// true, false, yes and no.
func parseBool(text string) (value, ok bool) {
	t := strings.ToLower(text)
	switch t {
	case "":
		return false, false
	case "on", "1":
		return true, true
	case "off", "of", "0":
		return false, true
	}
	switch {
	case strings.HasPrefix("true", t), strings.HasPrefix("yes", t):
		return true, true
	case strings.HasPrefix("false", t), strings.HasPrefix("no", t):
		return false, true
	}
	return false, false
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// unit is one unit of memory in bytes, or of time in microseconds.
type unit struct {
	name string
	size float64
}

var (
	memoryUnits = []unit{{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}, {"B", 1}}
	timeUnits   = []unit{{"d", 86400e6}, {"h", 3600e6}, {"min", 60e6}, {"s", 1e6}, {"ms", 1e3}, {"us", 1}}
)

// unitsOf returns the family of a setting's own unit, such as "8kB", and that
// unit's size; nil if it has none.
func unitsOf(own string) (family []unit, size float64) {
	name := strings.TrimLeft(own, "0123456789")
	count := 1.0
	if digits := own[:len(own)-len(name)]; digits != "" {
		count, _ = strconv.ParseFloat(digits, 64)
	}
	for _, family := range [...][]unit{memoryUnits, timeUnits} {
		for _, u := range family {
			if u.name == name {
				return family, count * u.size
			}
		}
	}
	return nil, 0
}

// parseAmount reads a number with or without a unit, in units of own. The rules
// are the server's (guc.c, parse_int and convert_to_base_unit): decimal,
// hexadecimal or, with base 0, octal, blanks before the unit, a unit's letters exactly so,
// and a fraction rounded to the next smaller unit.
func parseAmount(text, own string, base int) (amount float64, ok bool) {
	text = strings.Trim(text, " \t\n\r\v\f")
	end := numberEnd(text)
	number, name := text[:end], strings.TrimLeft(text[end:], " \t\n\r\v\f")
	if strings.ContainsAny(number, "xX") {
		base = 0
	}
	if n, err := strconv.ParseInt(number, base, 64); err == nil {
		amount = float64(n)
	} else if amount, err = strconv.ParseFloat(number, 64); err != nil || math.IsInf(amount, 0) || math.IsNaN(amount) {
		return 0, false
	}
	if name == "" {
		return amount, true
	}
	family, size := unitsOf(own)
	for i, u := range family {
		if u.name != name {
			continue
		}
		amount *= u.size / size
		if i+1 < len(family) {
			step := family[i+1].size / size
			amount = math.RoundToEven(amount/step) * step
		}
		return amount, true
	}
	return 0, false
}

// numberEnd returns where the number at the start of text ends.
func numberEnd(text string) int {
	i := 0
	if i < len(text) && (text[i] == '+' || text[i] == '-') {
		i++
	}
	if strings.HasPrefix(text[i:], "0x") || strings.HasPrefix(text[i:], "0X") {
		i += 2
		for i < len(text) && strings.IndexByte("0123456789abcdefABCDEF", text[i]) >= 0 {
			i++
		}
		return i
	}
	for i < len(text) && (text[i] >= '0' && text[i] <= '9' || text[i] == '.') {
		i++
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		j := i + 1
		if j < len(text) && (text[j] == '+' || text[j] == '-') {
			j++
		}
		if j < len(text) && text[j] >= '0' && text[j] <= '9' {
			for i = j; i < len(text) && text[i] >= '0' && text[i] <= '9'; i++ {
			}
		}
	}
	return i
}

// octal holds the settings that the server shows as modes of files.
var octal = map[string]bool{"unix_socket_permissions": true, "log_file_mode": true, "data_directory_mode": true}

func (d Description) showInteger(n int64) string {
	if octal[d.Name] {
		digits := strconv.FormatInt(n, 8)
		return strings.Repeat("0", max(0, 4-len(digits))) + digits
	}
	family, size := unitsOf(d.Unit)
	if n <= 0 || family == nil || float64(n)*size > 1<<62 {
		return strconv.FormatInt(n, 10)
	}
	total := int64(float64(n) * size)
	for _, u := range family {
		if total%int64(u.size) == 0 {
			return strconv.FormatInt(total/int64(u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// showReal writes a number as C's %g does, in the largest unit in which it is
// whole, in the smallest if there is none.
func showReal(n float64, own string) string {
	family, size := unitsOf(own)
	if n <= 0 || family == nil {
		return strconv.FormatFloat(n, 'g', 6, 64)
	}
	var value float64
	var name string
	for _, u := range family {
		value, name = n*size/u.size, u.name
		if math.Abs(math.RoundToEven(value)/value-1) <= 1e-8 {
			break
		}
	}
	return strconv.FormatFloat(value, 'g', 6, 64) + name
}

// Sensitive reports whether a setting's value must be sealed: by what the setting
// is for, by a name that speaks of a secret, or by a part of the text that looks
// like one. Templates are held to the same rule, or else a sealed value would
// differ from one in the open.
func Sensitive(name, value string) bool {
	lower := strings.ToLower(name)
	switch {
	case lower == "primary_conninfo", lower == "ssl_passphrase_command":
		return true
	case value == "":
		return false
	case secretName(lower), penumbra.Redact(value) != value:
		return true
	}
	return strings.HasSuffix(lower, "_command") && mentionsSecret(strings.ToLower(value))
}
