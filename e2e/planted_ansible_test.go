//go:build unix

package e2e

// This file plants secrets in each place that Ansible has for them (inventory,
// variables, vaults, extra variables, tasks' environments, arguments, names, output
// and errors, files on the host), has a daemon read, plan, apply and take back the
// play for real, and searches all that came out.

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/penumbra-iac/penumbra"
)

// newPlay makes a site whose one stack, named site, is an Ansible playbook on this
// machine; settings are added to the stack's, indented by four spaces.
func newPlay(t *testing.T, settings string, files map[string]string) *site {
	t.Helper()
	s := newSite(t)
	if _, err := exec.LookPath("ansible-playbook"); err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal(err)
		}
		t.Skip("ansible-playbook is needed")
	}
	scratch := s.path("tmp") // what a tool leaves behind is found
	for _, dir := range []string{scratch, s.path("target")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.put("play", files)
	s.write("penumbra.yaml", "schedule: {every: 1h, gap: 20ms, burst: 1000}\noutbound: {allow: [127.0.0.1]}\nstacks:\n  - name: site\n    kind: ansible\n    dir: play\n    playbook: site.yml\n    inventory: [hosts]\n    gap: 20ms\n    burst: 1000\n    every: 1h\n"+settings)
	return s.with("TMPDIR="+scratch, "ANSIBLE_LOCAL_TEMP="+filepath.Join(scratch, "ansible"), "ANSIBLE_REMOTE_TMP="+filepath.Join(scratch, "remote"))
}

// put writes files below a folder; D/ stands in them for the folder that the play
// writes to.
func (s *site) put(dir string, files map[string]string) {
	s.t.Helper()
	for name, text := range files {
		path := s.path(dir + "/" + name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "D/", s.path("target")+"/")), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

func TestPlantedSecretsOfAnsibleAppearNowhere(t *testing.T) {
	secrets := map[string]string{}
	plant := func(kind string) string {
		secrets[kind] = planted("ansible-" + kind)
		return secrets[kind]
	}
	vaultPassword := plant("vault-password")
	tasks := `
  - {name: port, ini_file: {path: D/app.ini, section: web, option: port, value: "{{ port }}"}}
  - {name: note, ini_file: {path: D/app.ini, section: web, option: note, value: mark-setting}}
  - {name: from the vault, ini_file: {path: D/app.ini, section: web, option: db_password, value: "{{ vault_db_password }}"}}
  - {name: from the play, ini_file: {path: D/app.ini, section: web, option: smtp_password, value: "{{ smtp_password }}"}}
  - {name: from outside, ini_file: {path: D/app.ini, section: web, option: extra_token, value: "{{ extra_token }}"}}
  - {name: command line, ini_file: {path: D/app.ini, section: web, option: start, value: ` + inYAML("run --token "+plant("argument")) + `}}
  - {name: line, lineinfile: {path: D/app.env, line: "API_TOKEN={{ inline_token }}", regexp: "^API_TOKEN="}}
  - {name: content, copy: {content: "mark-content\npassword = {{ vault_copy_password }}\n", dest: D/secret.conf}}
  - {name: hidden, no_log: true, copy: {content: "{{ vault_innocent }}", dest: D/hidden.txt}}
  - {name: hidden output, no_log: true, command: {argv: [/bin/echo, "{{ vault_harmless }}"]}}
  - {name: hidden failure, no_log: true, ignore_errors: true, command: {argv: [/bin/sh, -c, "echo $0 >&2; exit 3", "{{ vault_usual }}"]}}
  - {name: said, debug: {msg: ` + inYAML("mark-said login with password="+plant("debug")) + `}}
  - {name: printed, register: printed, command: {argv: [/bin/echo, ` + inYAML("mark-printed --password="+plant("stdout")) + `]}}
  - {name: printed again, debug: {var: printed.stdout}}
  - {name: ` + inYAML("named token="+plant("task-name")) + `, command: {argv: [/bin/echo, mark-named]}}
  - {name: surroundings, environment: {DB_PASSWORD: ` + inYAML(plant("environment-of-task")) + `}, command: {argv: [/usr/bin/env]}}
  - {name: fails, ignore_errors: true, command: {argv: [/bin/sh, -c, "echo $0 >&2; exit 3", ` + inYAML("mark-failed Authorization: Bearer "+plant("stderr")) + `]}}
  - {name: fact, set_fact: {session_secret: ` + inYAML(plant("fact")) + `}}
`
	s := newPlay(t, "    vault_password_file: vault.pass\n    extra_vars: [extra.yml]\n", map[string]string{
		"site.yml": "- hosts: h1\n  gather_facts: false\n  tags: web\n  vars: {smtp_password: " + inYAML(plant("play-variable")) + "}\n  tasks:" + tasks +
			"- hosts: h2\n  gather_facts: false\n  tasks:\n  - {name: checks, fail: {msg: " + inYAML("mark-refused, password="+plant("fail-message")) + "}}\n",
		"hosts":                   "[web]\nh1 ansible_connection=local ansible_become_password=\"" + plant("inventory") + "\"\n[other]\nh2 ansible_connection=local\n",
		"vault.pass":              vaultPassword + "\n",
		"extra.yml":               "extra_token: " + inYAML(plant("extra-variable")) + "\n",
		"group_vars/all/main.yml": "port: \"80\"\n",
		"group_vars/web.yml":      "unused_password: " + inYAML(plant("group-variable")) + "\n",
		"host_vars/h1.yml":        "unused_api_key: " + inYAML(plant("host-variable")) + "\n",
		"group_vars/all/vault.yml": "vault_db_password: " + inYAML(plant("vault-setting")) + "\nvault_copy_password: " + inYAML(plant("vault-content")) +
			"\nvault_innocent: " + inYAML(plant("vault-innocent")) + "\nvault_harmless: " + inYAML(plant("vault-output")) + "\nvault_usual: " + inYAML(plant("vault-failure")) + "\n",
	})
	play := s.path("play")
	s.run("ansible-vault", play, nil, "encrypt", "--vault-password-file", "vault.pass", "group_vars/all/vault.yml").ends(0)
	inline := s.run("ansible-vault", play, nil, "encrypt_string", "--vault-password-file", "vault.pass", "--name", "inline_token", plant("vault-inline")).ends(0).out
	s.write("play/group_vars/all/inline.yml", inline)
	// What somebody has put on the host, where the play would have other secrets.
	s.write("target/app.ini", "[web]\nport = 81\nnote = mark-setting\ndb_password = "+plant("actual-setting")+"\nsmtp_password = "+plant("actual-other")+"\n")
	s.write("target/app.env", "API_TOKEN="+plant("actual-line")+"\n")
	s.write("target/secret.conf", "mark-content\npassword = "+plant("actual-content")+"\n")
	s.write("target/hidden.txt", plant("actual-hidden"))
	h := &haystack{data: map[string][]byte{}}
	s.edit("penumbra.yaml", "dir: play\n", "dir: play\n    watch: [target]\n")

	d := s.serve()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(d.log.String())
		}
	})
	settings := "site/h1/file[" + s.path("target/app.ini") + "]"
	found := s.drift(settings, "ini.web.port")
	if f, ok := found.Finding("ini.web.db_password"); !ok || !f.Sensitive || !strings.HasPrefix(f.Actual.Text(), penumbra.SecretPrefix) || !strings.HasPrefix(f.Template.Text(), penumbra.SecretPrefix) {
		t.Errorf("the password of the vault is not compared as a secret: %+v", f)
	}
	s.penumbra("drift", "ack", found.ID, "--reason", "token="+plant("reason"))
	offered := s.proposals(found.ID)
	for _, p := range offered {
		if p.Patch != nil && strings.Contains(p.Patch.Diff(), "password") {
			t.Errorf("a patch has a password: %s", p.Patch.Diff())
		}
	}
	collect := func(args ...string) {
		r := s.penumbra(args...)
		h.add(fmt.Sprintf("penumbra %s, %d", strings.Join(args, " "), len(h.data)), []byte(r.out+r.err))
	}
	// Values of one's own that are secrets are not written, and not told.
	revert := s.proposal(found.ID, penumbra.Revert)
	collect("customize", revert.ID, "--set", "ini.web.db_password="+plant("customize"))
	collect("customize", revert.ID, "--set", "ini.web.note=token="+plant("customize-text"))
	run := s.approve(revert)
	for name, want := range map[string]string{"app.ini": secrets["vault-setting"], "app.env": secrets["vault-inline"], "hidden.txt": secrets["vault-innocent"]} {
		if !strings.Contains(s.read("target/"+name), want) {
			t.Fatalf("the play has not written %s", name)
		}
	}
	if got := s.runOf(run.ID); !strings.Contains(got.Log, "mark-printed") || !strings.Contains(got.Log, "mark-said") {
		t.Errorf("the run's log has not what the play said:\n%s", got.Log)
	}
	collect("rollback", run.ID, "--yes") // it would set passwords that are not kept
	// A run that fails on its way says why.
	s.edit("play/site.yml", "{name: fact,", "{name: breaks, when: not ansible_check_mode, command: {argv: [/bin/sh, -c, \"echo $0 >&2; exit 3\", "+inYAML("mark-broken client_secret="+plant("broken-run"))+"]}}\n  - {name: fact,")
	s.edit("target/app.ini", "port = 80", "port = 82")
	again := s.drift(settings, "ini.web.port")
	var broken string
	s.until("a plan of the new code", func() bool {
		for _, p := range s.proposals(again.ID) {
			if p.Kind == penumbra.Revert && p.Hash != revert.Hash {
				broken = p.ID
				return true
			}
		}
		return false
	})
	collect("approve", broken, "--yes")
	for _, r := range s.runs() {
		collect("run", "show", r.ID)
		collect("run", "show", r.ID, "-o", "json")
	}

	h.crawl(t, d)
	h.answers(t, d, "/v1/drifts/"+found.ID, "/v1/drifts/"+found.ID+"/proposals", "/v1/runs/"+run.ID, "/v1/shadow?address="+url.QueryEscape(settings))
	for _, args := range [][]string{
		{"status", "--resources"}, {"drift", "list"}, {"drift", "show", found.ID}, {"drift", "show", found.ID, "-o", "json"}, {"proposals", found.ID}, {"proposals", found.ID, "-o", "json"},
		{"shadow", "show", settings}, {"export"}, {"audit", "export"}, {"decisions", "-o", "json"}, {"check", "play"},
	} {
		collect(args...)
	}
	h.folder(t, s.path(".penumbra"))
	d.stop(syscall.SIGTERM)
	h.add("the daemon's log", []byte(d.log.String()))
	h.folder(t, s.path(".penumbra"))
	h.folder(t, s.path("tmp"))
	for _, mark := range []string{"setting", "said", "printed", "failed", "broken"} {
		h.has(t, "mark-"+mark)
	}
	h.has(t, "hmac-sha256:")
	h.hidden(t, secrets, 25)
}
