package ansible

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/penumbra-iac/penumbra"
)

// MaxOutput is how many bytes of Ansible's output are read, 256 MiB. Tasks are
// decoded one by one, so that the largest of them bounds the memory.
const MaxOutput = 256 << 20

// maxPreamble is how much may stand before the JSON: warnings of Ansible and
// of Python.
const maxPreamble = 1 << 20

// task is one task of a run, with its result on each host.
type task struct {
	Task struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"task"`
	Hosts map[string]*result `json:"hosts"`
}

// result is what the json callback says of one task on one host, or of one
// item of its loop.
type result struct {
	Action      string          `json:"action"`
	Changed     bool            `json:"changed"`
	Failed      bool            `json:"failed"`
	Unreachable bool            `json:"unreachable"`
	Skipped     bool            `json:"skipped"`
	SkipReason  string          `json:"skip_reason"`
	Censored    json.RawMessage `json:"censored"`
	Msg         any             `json:"msg"`
	Diff        json.RawMessage `json:"diff"`
	Results     []*result       `json:"results"`
	Invocation  struct {
		Args map[string]any `json:"module_args"`
	} `json:"invocation"`
	Delegated map[string]any   `json:"_ansible_delegated_vars"`
	Mode      string           `json:"mode"`
	Owner     string           `json:"owner"`
	Group     json.RawMessage  `json:"group"`
	State     any              `json:"state"`
	Status    map[string]any   `json:"status"`
	Stdout    any              `json:"stdout"`
	Name      any              `json:"name"`
	Pretty    any              `json:"value_pretty"`
	PrevValue any              `json:"prev_val_pretty"`
	Restart   bool             `json:"restart_required"`
	Query     []map[string]any `json:"query_result"`
	Stat      *fileStat        `json:"stat"`
	Dest      string           `json:"dest"`
	Checksum  string           `json:"checksum"` // SHA-1 of a file's content, as Ansible has it
	Item      any              `json:"item"`
}

// hostStats are the counts at the end of a run.
type hostStats struct {
	Failures    int `json:"failures"`
	Unreachable int `json:"unreachable"`
}

// readOutput reads what the json callback wrote, and calls each for every task
// in order. Lines before the JSON, such as warnings, are passed over.
func readOutput(r io.Reader, each func(*task)) (map[string]hostStats, error) {
	limited := &io.LimitedReader{R: r, N: MaxOutput}
	stats, err := walk(limited, each)
	if err == nil {
		return stats, nil
	}
	if limited.N <= 0 {
		err = fmt.Errorf("more than %d bytes", MaxOutput)
	}
	return nil, &penumbra.Error{
		Kind: penumbra.Invalid, What: "read the output of Ansible's json callback", Err: err,
		Remedy: "run `ANSIBLE_STDOUT_CALLBACK=json ansible-playbook --check --diff` by hand and look at what it prints",
	}
}

func walk(r io.Reader, each func(*task)) (map[string]hostStats, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	if err := skipPreamble(in); err != nil {
		return nil, err
	}
	d := json.NewDecoder(in)
	var stats map[string]hostStats
	plays := false
	err := object(d, func(key string) error {
		switch key {
		case "plays":
			plays = true
			return array(d, func() error { return readPlay(d, each) })
		case "stats":
			return d.Decode(&stats)
		}
		return skip(d)
	})
	if err != nil {
		return nil, fmt.Errorf("at byte %d of the JSON: %w", d.InputOffset(), err)
	}
	if !plays || stats == nil {
		return nil, errors.New("it has no plays or no stats")
	}
	return stats, nil
}

func readPlay(d *json.Decoder, each func(*task)) error {
	return object(d, func(key string) error {
		if key != "tasks" {
			return skip(d)
		}
		return array(d, func() error {
			var t task
			if err := d.Decode(&t); err != nil {
				return err
			}
			each(&t)
			return nil
		})
	})
}

// skipPreamble leaves in at the first line that starts with a brace.
func skipPreamble(in *bufio.Reader) error {
	start := true
	for range maxPreamble {
		c, err := in.ReadByte()
		if err != nil {
			return errors.New("there is no JSON in it")
		}
		if start && c == '{' {
			return in.UnreadByte()
		}
		start = c == '\n' || start && (c == ' ' || c == '\r')
	}
	return fmt.Errorf("no JSON within the first %d bytes", maxPreamble)
}

func object(d *json.Decoder, field func(key string) error) error {
	if err := expect(d, '{'); err != nil {
		return err
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return fmt.Errorf("%v where a name should be", t)
		}
		if err := field(key); err != nil {
			return err
		}
	}
	return expect(d, '}')
}

func array(d *json.Decoder, item func() error) error {
	if err := expect(d, '['); err != nil {
		return err
	}
	for d.More() {
		if err := item(); err != nil {
			return err
		}
	}
	return expect(d, ']')
}

func expect(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("%.40v where %v should be", t, want)
	}
	return nil
}

func skip(d *json.Decoder) error {
	var raw json.RawMessage
	return d.Decode(&raw)
}

// change is one entry of a result's diff. A content diff has texts, a diff of
// attributes has maps.
type change struct {
	Header *string `json:"before_header"`
	Before any     `json:"before"`
	After  any     `json:"after"`
}

// changes returns the diff, which Ansible gives as a list, as an object or not
// at all.
func (r *result) changes() []change {
	raw := bytes.TrimSpace(r.Diff)
	if len(raw) == 0 {
		return nil
	}
	var list []change
	if raw[0] == '[' {
		if json.Unmarshal(raw, &list) != nil {
			return nil
		}
		return list
	}
	var one change
	if json.Unmarshal(raw, &one) != nil {
		return nil
	}
	return []change{one}
}

// content returns the texts of the content diff, ok false if there is none.
func (r *result) content() (before, after string, ok bool) {
	for _, c := range r.changes() {
		b, isText := c.Before.(string)
		a, alsoText := c.After.(string)
		if isText && alsoText {
			return b, a, true
		}
	}
	return "", "", false
}

// hadFile reports whether the content diff names a file as what was there
// before: if there was none, Ansible leaves the name out.
func (r *result) hadFile() bool {
	for _, c := range r.changes() {
		if _, isText := c.Before.(string); isText {
			return c.Header != nil
		}
	}
	return false
}

// attributes returns the maps of the diffs of attributes, joined.
func (r *result) attributes() (before, after map[string]any) {
	before, after = map[string]any{}, map[string]any{}
	for _, c := range r.changes() {
		b, isMap := c.Before.(map[string]any)
		a, alsoMap := c.After.(map[string]any)
		if !isMap || !alsoMap {
			continue
		}
		for k, v := range b {
			before[k] = v
		}
		for k, v := range a {
			after[k] = v
		}
	}
	return before, after
}
