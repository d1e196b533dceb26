package ansible

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/penumbra-iac/penumbra"
)

// serverDefault has postgresql_set take a setting out of postgresql.auto.conf.
const serverDefault = "default"

// PlanSettings plans a play that sets parameters of a PostgreSQL server which the
// playbook leaves open, through the connection of a task that sets others. It
// returns an error of kind NotFound if no task tells of the server, and Refused
// for what is no parameter, or cannot be set so.
func (w *Workspace) PlanSettings(ctx context.Context, address penumbra.Address, settings []penumbra.Setting) (penumbra.Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, w.config.Timeout)
	defer cancel()
	if err := w.canPlan(); err != nil {
		return penumbra.Plan{}, err
	}
	s, err := w.surveyed(ctx)
	if err != nil {
		return penumbra.Plan{}, err
	}
	it := s.items[address]
	if it == nil || it.typ != "postgresql" {
		return penumbra.Plan{}, &penumbra.Error{
			Kind: penumbra.NotFound, What: fmt.Sprintf("%s leaves this open, and no postgresql_set task tells how %s is reached", w.config.Playbook, address),
			Remedy: "declare it in the playbook, or put it back by hand",
		}
	}
	for _, x := range settings {
		if why := notSettable(x.Path); why != "" {
			return penumbra.Plan{}, &penumbra.Error{Kind: penumbra.Refused, What: x.Path + ": " + why, Remedy: remedyFor(x.Path)}
		}
	}
	p, err := serverPlay(s.tasks, it, settings)
	if err != nil {
		return penumbra.Plan{}, err
	}
	text, err := playText([]*play{p})
	if err != nil {
		return penumbra.Plan{}, err
	}
	t, err := w.try(ctx, errand{Play: text, Limit: strings.Join(p.hosts, ",")}, nil)
	if err != nil {
		return penumbra.Plan{}, err
	}
	plan := penumbra.Plan{
		Stack: w.config.Stack, Targets: []penumbra.Address{address},
		Notes: []string{"Writes with ALTER SYSTEM: from then on postgresql.auto.conf holds the value."},
	}
	return w.save(ctx, s, t, plan, nil, nil)
}

// notSettable says why a path of a server is no parameter that ALTER SYSTEM
// sets, "" if it is one.
func notSettable(path string) string {
	prefix, _, _ := strings.Cut(path, ".")
	switch prefix {
	case "role", "database":
		return "it is set for a role or a database, which postgresql_set does not do"
	case "file_error":
		return "it is an error in a file"
	}
	return ""
}

func remedyFor(path string) string {
	prefix, rest, _ := strings.Cut(path, ".")
	switch prefix {
	case "pending_restart", "pending_reload":
		return "to take it back: ALTER SYSTEM RESET " + rest + ", or SET it to what the code declares, then SELECT pg_reload_conf(); to have it: reload or restart the server"
	case "role", "database":
		return "take it back by hand: ALTER ROLE or ALTER DATABASE … RESET"
	}
	return "correct the file by hand"
}

// serverPlay writes the play that sets parameters of a server: as the task that
// sets the same one reaches it, or else any other of this server.
func serverPlay(tasks map[string]*declared, it *item, settings []penumbra.Setting) (*play, error) {
	var p *play
	for i, x := range settings {
		from := it.pairs[x.Path].from
		if name := waiting(x.Path); name != "" {
			from = it.pairs[name].from
		}
		if from == nil || tasks[from.task] == nil {
			from = nil
			for i := range it.origins {
				if t := tasks[it.origins[i].task]; t != nil && t.module() == "postgresql_set" {
					from = &it.origins[i]
				}
			}
		}
		if from == nil {
			return nil, &penumbra.Error{Kind: penumbra.Refused, What: "no task tells how the server is reached", Remedy: "set it by hand"}
		}
		t := tasks[from.task]
		connection, err := t.connection(from)
		if err != nil {
			return nil, err
		}
		if p == nil {
			p = &play{hosts: []string{from.host}}
		}
		if t.Role != "" {
			p.addRole(t.Role)
		}
		if waiting(x.Path) != "" {
			tasks, err := t.pendingTasks(it, from, x, i)
			if err != nil {
				return nil, err
			}
			p.tasks = append(p.tasks, tasks...)
			continue
		}
		value, title := quoted(serverDefault), "Take "+x.Path+" back to its default"
		if !x.Value.IsNull() {
			value, title = quoted(x.Value.Text()), "Set "+x.Path+" to "+x.Value.Text()
		}
		args := mapping("name", literal(x.Path), "value", value)
		args.Content = append(args.Content, connection.Content...)
		n := mapping("name", literal(title), t.Action, args)
		t.keywords(n)
		p.tasks = append(p.tasks, n)
	}
	return p, nil
}

// connection returns the arguments of a postgresql_set task that are not the
// parameter's own: as they stand in the code, so that a password stays the
// variable that it is; those that follow a loop's item as they were evaluated.
func (t *declared) connection(from *origin) (*yaml.Node, error) {
	refused := func(what string) error {
		return &penumbra.Error{Kind: penumbra.Refused, What: fmt.Sprintf("task %s (%s) %s", t.Name, t.Path, what), Remedy: "keep it in a variable, with Ansible Vault"}
	}
	if t.sealed() {
		return nil, refused("has an encrypted value in it")
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	var names []string
	for name := range t.Args {
		if name != "name" && name != "value" && name != "reset" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		v := t.Args[name]
		raw, isText := v.(string)
		switch {
		case isText && isExpression(raw) && mentionsItem(raw):
			evaluated := text(from.args[name])
			if evaluated == "" {
				return nil, refused("takes " + name + " from a loop, and it cannot be seen")
			}
			put(n, name, quoted(evaluated))
		case isText && !isExpression(raw) && penumbra.LooksSecret(name, penumbra.String(raw)):
			return nil, refused("has a secret in its argument " + name)
		default:
			put(n, name, v)
		}
	}
	return n, nil
}
