package tofu

import (
	"archive/zip"
	"encoding/json"
	"os"
	"path/filepath"
)

// The tools load, upgrade and copy the whole state for a plan of a single
// resource, and print all of it afterwards: for 2,000 resources that costs
// seconds. A plan that is only looked at needs no more of the state than the
// resource and what its code refers to.

// partOfState writes that part of the state before the refresh, "" if it
// cannot: only with a local state can a plan be given another one.
func (q *quick) partOfState(temp string) string {
	if q.w.backend() != "local" {
		return ""
	}
	data, err := q.selectState()
	if err != nil {
		return ""
	}
	path := filepath.Join(temp, "part.tfstate")
	if os.WriteFile(path, data, 0o600) != nil {
		return ""
	}
	return path
}

// selectState returns the text of the part. What it does not select it does not
// look into.
func (q *quick) selectState() ([]byte, error) {
	archive, err := zip.OpenReader(q.file)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	f, err := archive.Open(stateBefore)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var whole map[string]json.RawMessage
	if err := json.NewDecoder(f).Decode(&whole); err != nil {
		return nil, err
	}
	var resources []map[string]json.RawMessage
	if err := json.Unmarshal(whole["resources"], &resources); err != nil {
		return nil, err
	}
	needed := q.needed()
	kept := []map[string]json.RawMessage{}
	for _, r := range resources {
		of, err := q.selectInstances(r, needed)
		if err != nil {
			return nil, err
		}
		if of != nil {
			kept = append(kept, of)
		}
	}
	// Outputs and results of checks are the whole stack's.
	delete(whole, "outputs")
	delete(whole, "check_results")
	if whole["resources"], err = json.Marshal(kept); err != nil {
		return nil, err
	}
	return json.Marshal(whole)
}

// needed returns the places of the resources that planning the candidates takes
// in: those that the code refers to and those that it did when it was applied.
func (q *quick) needed() map[string]bool {
	places := make(map[string]bool)
	for address := range q.candidates {
		places[ConfigAddress(address)] = true
	}
	out := q.code.needs(places)
	for address := range q.candidates {
		if was := q.states.before.byName[address]; was != nil {
			for _, place := range was.dependencies {
				out[place] = true
			}
		}
	}
	return out
}

// selectInstances returns a resource of the state with the instances that are
// wanted, nil for none.
func (q *quick) selectInstances(r map[string]json.RawMessage, needed map[string]bool) (map[string]json.RawMessage, error) {
	var mode, module, typ, name string
	for field, into := range map[string]*string{"mode": &mode, "module": &module, "type": &typ, "name": &name} {
		if r[field] == nil {
			continue
		}
		if err := json.Unmarshal(r[field], into); err != nil {
			return nil, err
		}
	}
	at := modulePrefix(module) + typ + "." + name
	if mode == "data" || needed[ConfigAddress(at)] {
		return r, nil
	}
	var instances []json.RawMessage
	if err := json.Unmarshal(r["instances"], &instances); err != nil {
		return nil, err
	}
	var kept []json.RawMessage
	for _, text := range instances {
		var i struct {
			Key json.RawMessage `json:"index_key"`
		}
		if err := json.Unmarshal(text, &i); err != nil {
			return nil, err
		}
		if q.candidates[keyed(at, instanceKey(i.Key))] {
			kept = append(kept, text)
		}
	}
	if kept == nil {
		return nil, nil
	}
	var err error
	r["instances"], err = json.Marshal(kept)
	return r, err
}

// instanceKey reads the key of an instance, nil for none.
func instanceKey(text json.RawMessage) any {
	if name := ""; json.Unmarshal(text, &name) == nil && text[0] == '"' {
		return name
	}
	if n := json.Number(""); json.Unmarshal(text, &n) == nil && n != "" {
		return n
	}
	return nil
}
