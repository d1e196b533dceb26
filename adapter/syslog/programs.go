package syslog

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/penumbra-iac/penumbra"
)

// resolve fills in who did what, for programs whose messages are known.
func resolve(r *penumbra.Record, app, text string) {
	switch {
	case strings.HasPrefix(text, "pam_"):
		pam(r, text)
	case app == "sudo" || app == "sudoedit":
		sudoMessage(r, text)
	case app == "sshd" || app == "sshd-session":
		sshd(r, text)
	case app == "su":
		su(r, text)
	case app == "systemd":
		systemd(r, text)
	case app == "CRON" || app == "cron" || app == "crond":
		cron(r, text)
	case strings.HasPrefix(app, "ansible-"):
		ansible(r, strings.TrimPrefix(app, "ansible-"), text)
	case strings.HasPrefix(text, "ansible-"):
		module, rest, _ := strings.Cut(strings.TrimPrefix(text, "ansible-"), " ")
		ansible(r, strings.TrimSuffix(module, ":"), rest)
	case slices.Contains(accounts, app):
		account(r, app, text)
	}
}

var (
	pamSession = regexp.MustCompile(`^pam_\w+\((\S+?):session\): session (opened|closed) for user ([^\s(]+)(?:\(uid=\d+\))?(?: by ([^\s(]*))?`)
	pamFailure = regexp.MustCompile(`^pam_\w+\((\S+?):auth\): authentication failure;.*?\bruser=(\S*).*?(?:\buser=(\S+))?$`)
	pamChanged = regexp.MustCompile(`^pam_\w+\((\S+?):chauthtok\): password changed for (\S+)`)
)

// pam reads what the PAM modules say in the name of the program around them.
func pam(r *penumbra.Record, text string) {
	if m := pamSession.FindStringSubmatch(text); m != nil {
		r.Action, r.Via, r.Actor, r.Targets, r.ReadOnly = "session "+m[2], m[1], m[4], []string{m[3]}, true
	} else if m := pamFailure.FindStringSubmatch(text); m != nil {
		r.Action, r.Via, r.Actor, r.Failed = "authenticate", m[1], m[2], "authentication failure"
		if r.Actor == "" {
			r.Actor = m[3]
		}
	} else if m := pamChanged.FindStringSubmatch(text); m != nil {
		r.Action, r.Via, r.Targets = "change password", m[1], []string{m[2]}
	}
}

var (
	sshAccepted = regexp.MustCompile(`^Accepted (\S+) for (\S+) from (\S+)`)
	sshFailed   = regexp.MustCompile(`^Failed (\S+) for (?:invalid user )?(\S+) from (\S+)`)
	suTo        = regexp.MustCompile(`^(FAILED SU )?\(to ([^)]+)\) (\S+) on`)
	systemdVerb = regexp.MustCompile(`^(Starting|Started|Stopping|Stopped|Reloading|Reloaded|Restarting|Failed to start|Finished) ([\w@:.\\-]+\.(?:service|socket|timer|mount|target|path|slice|scope|swap))`)
	systemdUnit = regexp.MustCompile(`^([\w@:.\\-]+\.(?:service|socket|timer|mount|target|path|slice|scope|swap)): (.+)`)
	cronCommand = regexp.MustCompile(`^\(([^)]+)\) CMD \((.*)\)$`)
	quoted      = regexp.MustCompile(`'([^']+)'|\bname=([^,\s]+)`)
)

func sshd(r *penumbra.Record, text string) {
	m := sshAccepted.FindStringSubmatch(text)
	if m == nil {
		if m = sshFailed.FindStringSubmatch(text); m == nil {
			return
		}
		r.Failed = "authentication failure"
	}
	r.Action, r.Actor, r.Via, r.ReadOnly = "login", m[2], "ssh "+m[1], true
	r.Attributes["from"] = m[3]
}

func su(r *penumbra.Record, text string) {
	if m := suTo.FindStringSubmatch(text); m != nil {
		r.Action, r.Actor, r.Targets, r.ReadOnly = "su", m[3], []string{m[2]}, true
		if m[1] != "" {
			r.Failed = "authentication failure"
		}
	}
}

func systemd(r *penumbra.Record, text string) {
	r.ActorKind = penumbra.System
	if m := systemdVerb.FindStringSubmatch(text); m != nil {
		r.Action, r.Targets = strings.ToLower(m[1]), []string{m[2]}
		if strings.HasPrefix(m[1], "Failed") {
			r.Action, r.Failed = "start", "failed to start"
		}
	} else if m := systemdUnit.FindStringSubmatch(text); m != nil {
		r.Targets = []string{m[1]}
	}
}

func cron(r *penumbra.Record, text string) {
	if m := cronCommand.FindStringSubmatch(text); m != nil {
		r.Actor, r.ActorKind, r.Via = m[1], penumbra.Automation, "cron"
		command(r, words(strings.TrimSpace(m[2])), "")
	}
}

var accounts = []string{"useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "gpasswd", "chage", "chfn", "chsh", "passwd", "chpasswd"}

func account(r *penumbra.Record, app, text string) {
	r.Action = app
	for _, m := range quoted.FindAllStringSubmatch(text, 8) {
		name := m[1] + m[2]
		if !slices.Contains(r.Targets, name) {
			r.Targets = append(r.Targets, name)
		}
	}
	if strings.HasPrefix(text, "failed ") {
		r.Failed = penumbra.Redact(text)
	}
}

var ansibleTarget = regexp.MustCompile(`(?:^| )(dest|path|name|unit|_raw_params)=('[^']*'|\[[^\]]*\]|\S+)`)

// ansible reads a module's "Invoked with" line. Ansible writes its arguments as
// Python does and leaves no_log ones out.
func ansible(r *penumbra.Record, module, text string) {
	args, ok := strings.CutPrefix(text, "Invoked with ")
	if !ok {
		return
	}
	r.Action, r.ActorKind, r.Via = module, penumbra.Automation, "ansible"
	for _, m := range ansibleTarget.FindAllStringSubmatch(args, 16) {
		v := strings.Trim(m[2], "'")
		if v == "None" || v == "" {
			continue
		}
		if m[1] == "_raw_params" {
			_, rest, _ := strings.Cut(args, "_raw_params=")
			addTargets(r, words(rest), "")
			continue
		}
		for name := range strings.SplitSeq(strings.Trim(v, "[]"), ",") {
			if name = strings.Trim(name, " '"); name != "" && !slices.Contains(r.Targets, name) {
				r.Targets = append(r.Targets, name)
			}
		}
	}
	if module == "command" || strings.HasSuffix(module, ".command") || strings.Contains(args, "check_mode=True") {
		return
	}
	slices.SortStableFunc(r.Targets, func(a, b string) int { return rank(a) - rank(b) })
}

// rank puts paths before names: they say more.
func rank(target string) int {
	if strings.HasPrefix(target, "/") {
		return 0
	}
	return 1
}

// command fills in what a command line does. dir is where it ran, "" if that is
// not known.
func command(r *penumbra.Record, argv []string, dir string) {
	if len(argv) == 0 {
		return
	}
	r.Action = penumbra.Redact(path.Base(argv[0]))
	addTargets(r, argv[1:], "")
	switch r.Action {
	case "systemctl", "service", "invoke-rc.d", "rc-service":
		units(r, argv[1:])
	case "sh", "bash", "dash", "zsh", "ksh":
		for i, a := range argv {
			if a == "-c" && i+1 < len(argv) {
				addTargets(r, words(argv[i+1]), "")
			}
		}
	}
	if slices.Contains(onFiles, r.Action) {
		addTargets(r, argv[1:], dir)
	}
	r.ReadOnly = slices.Contains(readers, r.Action) || r.Action == "systemctl" && slices.ContainsFunc(argv, isStatus)
}

var (
	onFiles = []string{"vi", "vim", "vim.basic", "vim.tiny", "nvim", "nano", "emacs", "ed", "sudoedit", "tee", "cp", "mv", "rm", "ln", "install", "touch", "chmod", "chown", "chgrp", "sed", "truncate", "cat", "less", "head", "tail"}
	readers = []string{"cat", "less", "more", "head", "tail", "ls", "id", "whoami", "true", "stat", "grep", "journalctl", "ps", "df", "du", "ss"}
)

func isStatus(arg string) bool {
	switch arg {
	case "status", "show", "cat", "is-active", "is-enabled", "list-units", "list-unit-files", "list-timers":
		return true
	}
	return false
}

// units adds the units of "systemctl restart nginx" and the service of
// "service nginx restart".
func units(r *penumbra.Record, args []string) {
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return strings.HasPrefix(a, "-") })
	switch {
	case len(args) == 0:
		return
	case r.Action != "systemctl":
		args = args[:1]
		r.Targets = append(r.Targets, penumbra.Redact(args[0]))
		return
	}
	r.Attributes["verb"] = penumbra.Redact(args[0])
	for _, a := range args[1:] {
		if !strings.Contains(a, ".") && !strings.HasPrefix(a, "/") {
			a += ".service"
		}
		if a = penumbra.Redact(a); !slices.Contains(r.Targets, a) {
			r.Targets = append(r.Targets, a)
		}
	}
}

// maxTargets bounds what one command line can name.
const maxTargets = 32

// addTargets adds the absolute paths among args, also those after "=" or "of=";
// with dir, relative ones too.
func addTargets(r *penumbra.Record, args []string, dir string) {
	for _, a := range args {
		if i := strings.Index(a, "=/"); i >= 0 {
			a = a[i+1:]
		}
		a = strings.TrimRight(strings.TrimLeft(a, "<>(&|0123456789"), ");&|")
		switch {
		case len(a) < 2 || a[0] == '-':
			continue
		case a[0] == '/':
		case dir != "" && strings.ContainsAny(a, "./") && !strings.ContainsAny(a, " ;=:+") && strings.HasPrefix(dir, "/"):
			a = path.Join(dir, a)
		default:
			continue
		}
		a = penumbra.Redact(path.Clean(a))
		if len(r.Targets) < maxTargets && !slices.Contains(r.Targets, a) {
			r.Targets = append(r.Targets, a)
		}
	}
}

// words splits a command line as a shell would, without expanding anything.
func words(line string) []string {
	var out []string
	var b strings.Builder
	var quote byte
	in := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, in = c, true
		case c == '\\' && quote != '\'' && i+1 < len(line):
			i++
			b.WriteByte(line[i])
			in = true
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if in {
				out = append(out, b.String())
				b.Reset()
			}
			in = false
		default:
			b.WriteByte(c)
			in = true
		}
	}
	if in {
		out = append(out, b.String())
	}
	return out
}
