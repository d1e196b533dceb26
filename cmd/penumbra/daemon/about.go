package daemon

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/penumbra-iac/penumbra"
	"github.com/penumbra-iac/penumbra/cmd/penumbra/wire"
	"github.com/penumbra-iac/penumbra/web"
)

// aboutOf collects what the pages show of the configuration.
func aboutOf(c *wire.Config, loop *wire.Loop) (web.About, error) {
	about := web.About{File: c.File()}
	for _, s := range c.Show() {
		if n := len(about.Settings); n == 0 || about.Settings[n-1].Name != s.Part {
			about.Settings = append(about.Settings, web.SettingGroup{Name: s.Part})
		}
		part := &about.Settings[len(about.Settings)-1]
		part.Settings = append(part.Settings, web.NamedSetting{Name: s.Key, Value: s.Value})
	}
	var err error
	if about.Policies, err = policiesInUse(c.PolicyPaths(), loop.Files); err != nil {
		return about, err
	}
	about.Knowledge = func() []web.KnowledgeEntry {
		var own, ours []web.KnowledgeEntry
		for _, e := range loop.Manuals().Entries() {
			x := web.KnowledgeEntry{ID: e.ID, Title: e.Title, Types: e.Types, Paths: e.Paths, When: e.When, Fact: e.Fact, Own: e.Own}
			if e.Own {
				own = append(own, x)
			} else {
				ours = append(ours, x)
			}
		}
		return append(own, ours...)
	}
	return about, nil
}

// policiesInUse returns what returns the texts of the policies in use. They are read
// again when the daemon has read them again: what has mistakes is not in use, and not
// shown.
func policiesInUse(paths []string, files func() []penumbra.FilesStatus) (func() []web.PolicyText, error) {
	var mu sync.Mutex
	read := readAt(files())
	texts, err := policyTexts(paths)
	return func() []web.PolicyText {
		mu.Lock()
		defer mu.Unlock()
		if now := readAt(files()); now.After(read) {
			if newer, err := policyTexts(paths); err == nil {
				read, texts = now, newer
			}
		}
		return texts
	}, err
}

// readAt is when the policies in use were read.
func readAt(files []penumbra.FilesStatus) time.Time {
	for _, x := range files {
		if x.Name == wire.PolicyFiles {
			return x.Read
		}
	}
	return time.Time{}
}

// policyTexts reads the files of policies, and those in folders of them, as the
// policies themselves are found.
func policyTexts(paths []string) ([]web.PolicyText, error) {
	var out []web.PolicyText
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || name != path && !strings.HasSuffix(name, ".cedar") {
				return err
			}
			text, err := os.ReadFile(name)
			if err == nil {
				out = append(out, web.PolicyText{Name: strings.TrimSuffix(filepath.Base(name), ".cedar"), File: name, Text: penumbra.Redact(string(text))})
			}
			return err
		})
		if err != nil {
			return nil, &penumbra.Error{Kind: penumbra.Missing, What: "read the policies in " + path, Remedy: "correct `policy` in penumbra.yaml", Err: err}
		}
	}
	return out, nil
}
