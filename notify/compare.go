package notify

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/penumbra-iac/penumbra"
)

// Look holds what there is against what was told, once, and stores what is to be
// told. It returns when to look again, without news.
func (t *Teller) Look(ctx context.Context) (next time.Time, err error) {
	t.looking.Lock()
	defer t.looking.Unlock()
	next = t.now().Add(idle)
	all, err := t.subjects(ctx)
	if err != nil {
		return next, err
	}
	seen := map[string]time.Time{}
	var failed error
	for _, c := range t.channels {
		due, err := t.compare(ctx, c, all, seen)
		failed = errors.Join(failed, err)
		if !due.IsZero() && due.Before(next) {
			next = due
		}
	}
	t.seen = seen
	return next, failed
}

// group is all that is told under one key.
type group struct {
	key     string
	began   time.Time
	members []*subject
	gone    []penumbra.Told // of what is no more, or is told here no more
}

// comparison is what one look finds for one channel.
type comparison struct {
	*Teller
	c       *channel
	now     time.Time
	since   time.Time // when the channel was first looked at
	known   map[string]penumbra.Told
	seen    map[string]time.Time
	next    time.Time // when something is ready that is not yet
	told    []penumbra.Told
	notices []penumbra.Notice
}

// compare finds what is to be told through a channel, and stores it.
func (t *Teller) compare(ctx context.Context, c *channel, all []subject, seen map[string]time.Time) (next time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rows, err := t.cfg.Outbox.Told(ctx, c.Name)
	if err != nil {
		return next, err
	}
	x := &comparison{Teller: t, c: c, now: t.now(), known: map[string]penumbra.Told{}, seen: seen}
	for _, row := range rows {
		x.known[row.Subject] = row
	}
	own, met := x.known[""]
	if !met { // runs that ended before anybody listened are not news
		own = penumbra.Told{Channel: c.Name, Time: x.now}
		x.told = append(x.told, own)
	}
	x.since = own.Time
	for _, g := range x.groups(all, rows) {
		if err := x.tell(ctx, g); err != nil {
			return next, err
		}
	}
	if err := t.cfg.Outbox.Tell(ctx, x.told, x.notices); err != nil {
		return next, err
	}
	if len(x.notices) > 0 {
		poke(c.wake)
	}
	return x.next, nil
}

// groups puts the subjects that lead to the channel under their keys: those that were
// told keep theirs, a new one takes that of the oldest with a cause in common.
func (x *comparison) groups(all []subject, rows []penumbra.Told) []*group {
	var wanted []*subject
	present := map[string]bool{}
	for i := range all {
		if s := &all[i]; x.routed(s, x.c.Name) {
			wanted = append(wanted, s)
			present[s.id] = true
		}
	}
	root := causes(wanted)
	oldest := map[*subject]penumbra.Told{} // by root
	for _, s := range wanted {
		if row, ok := x.known[s.id]; ok && !once(row.About) {
			if had, ok := oldest[root[s]]; !ok || row.Began.Before(had.Began) {
				oldest[root[s]] = row
			}
		}
	}
	made := map[*subject]string{}
	byKey := map[string]*group{}
	of := func(key string, began time.Time) *group {
		g := byKey[key]
		if g == nil {
			g = &group{key: key, began: began}
			byKey[key] = g
		}
		if began.Before(g.began) {
			g.began = began
		}
		return g
	}
	for _, s := range wanted {
		r := root[s]
		key := x.known[s.id].Key
		if key == "" {
			key = oldest[r].Key
		}
		if key == "" {
			if made[r] == "" {
				made[r] = "k-" + digest(x.c.Name, r.id, x.now.String())
			}
			key = made[r]
		}
		g := of(key, s.began)
		g.members = append(g.members, s)
	}
	for _, row := range rows {
		if row.Subject != "" && !present[row.Subject] && !once(row.About) {
			g := of(row.Key, row.Began)
			g.gone = append(g.gone, row)
		}
	}
	out := make([]*group, 0, len(byKey))
	for _, g := range byKey {
		slices.SortFunc(g.members, func(a, b *subject) int {
			return cmp.Or(cmp.Compare(b.severity, a.severity), a.began.Compare(b.began), cmp.Compare(a.id, b.id))
		})
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *group) int { return cmp.Or(a.began.Compare(b.began), cmp.Compare(a.key, b.key)) })
	return out
}

// causes returns, for each subject, the one that stands for all with its cause.
func causes(subjects []*subject) map[*subject]*subject {
	parent := make(map[*subject]*subject, len(subjects))
	for _, s := range subjects {
		parent[s] = s
	}
	find := func(s *subject) *subject {
		for parent[s] != s {
			parent[s] = parent[parent[s]]
			s = parent[s]
		}
		return s
	}
	first := map[string]*subject{}
	for _, s := range subjects {
		for _, hint := range s.hints {
			other := first[hint]
			if other == nil {
				first[hint] = s
				continue
			}
			if a, b := find(s), find(other); a != b {
				parent[a] = b
			}
		}
	}
	out := make(map[*subject]*subject, len(subjects))
	for _, s := range subjects {
		out[s] = find(s)
	}
	return out
}

// tell stores what is new, changed or over of one group.
func (x *comparison) tell(ctx context.Context, g *group) error {
	var fresh []*subject
	ready := false
	for _, s := range g.members {
		row, was := x.known[s.id]
		if was && row.Said == s.said || s.muted {
			continue
		}
		if !was && s.verb != "" && s.began.Before(x.since) {
			x.told = append(x.told, x.row(g, s))
			continue
		}
		fresh = append(fresh, s)
		at := x.firstSeen(s).Add(s.gather)
		if !at.After(x.now) {
			ready = true
		} else if x.next.IsZero() || at.Before(x.next) {
			x.next = at
		}
	}
	switch {
	case ready:
		return x.say(ctx, g, fresh)
	case len(fresh) == 0 && len(g.members) == 0:
		return x.end(ctx, g)
	}
	for _, row := range g.gone { // others of the cause go on
		if row.Said != over {
			row.Said = over
			x.told = append(x.told, row)
		}
	}
	return nil
}

// firstSeen returns when what a subject has to say was seen first.
func (x *comparison) firstSeen(s *subject) time.Time {
	id := x.c.Name + "\x00" + s.id + "\x00" + s.said
	at, ok := x.Teller.seen[id]
	if !ok {
		at = x.now
	}
	x.seen[id] = at
	return at
}

func (x *comparison) row(g *group, s *subject) penumbra.Told {
	return penumbra.Told{Channel: x.c.Name, Subject: s.id, Key: g.key, Said: s.said, About: s.about, Severity: s.severity, Began: g.began, Time: x.now}
}

// say makes the notice of a group of which something is new or changed.
func (x *comparison) say(ctx context.Context, g *group, fresh []*subject) error {
	sent, held, thread, err := x.supersede(ctx, g)
	if err != nil {
		return err
	}
	before := len(g.gone) > 0
	for _, s := range g.members {
		if _, was := x.known[s.id]; was {
			before = true
		}
	}
	verb := penumbra.NoticeOpened
	if before && sent {
		verb = penumbra.NoticeChanged
	}
	if v := fresh[0].verb; v != "" {
		verb = v
	}
	n := x.written(g, fresh)
	n.Verb, n.Thread = verb, thread
	x.put(n, held)
	for _, s := range fresh {
		x.told = append(x.told, x.row(g, s))
	}
	for _, row := range g.gone {
		row.Said = over
		x.told = append(x.told, row)
	}
	return nil
}

// end makes the notice of a group of which nothing is left.
func (x *comparison) end(ctx context.Context, g *group) error {
	sent, held, thread, err := x.supersede(ctx, g)
	if err != nil {
		return err
	}
	for _, row := range g.gone {
		row.Over = true
		x.told = append(x.told, row)
	}
	if !sent && !held {
		return nil // nobody was told that it began
	}
	n, err := x.ended(ctx, g)
	if err != nil {
		return err
	}
	n.Verb, n.Thread = penumbra.NoticeResolved, thread
	if !sent {
		n.Title += " (opened and resolved meanwhile)"
	}
	x.put(n, held && !sent)
	return nil
}

// supersede folds what of a group has yet to be sent, and says whether something of it
// was sent, or may have been, and whether something waited for a digest.
func (x *comparison) supersede(ctx context.Context, g *group) (sent, held bool, thread string, err error) {
	prior, err := x.cfg.Outbox.Notices(ctx, penumbra.NoticeQuery{Channel: x.c.Name, Key: g.key})
	if err != nil {
		return false, false, "", err
	}
	sent = len(prior) == 0 && len(g.gone) > 0 // the notices were deleted, being old
	for _, n := range prior {
		if n.Thread != "" {
			thread = n.Thread
		}
		switch {
		case n.ID == x.c.sending, n.State == penumbra.NoticeSent, n.State == penumbra.NoticeDead, n.Attempts > 0:
			sent = true
		case n.State == penumbra.NoticeHeld:
			held = true
		}
		if n.ID != x.c.sending && (n.State == penumbra.NoticeWaiting || n.State == penumbra.NoticeHeld) {
			n.State = penumbra.NoticeFolded
			x.notices = append(x.notices, n)
		}
		if len(n.Folds) > 0 { // a digest told it
			sent = true
		}
	}
	return sent, held, thread, nil
}

// put adds a notice, to be sent at once or, in quiet hours, in the digest after them.
func (x *comparison) put(n penumbra.Notice, held bool) {
	n.ID, n.Channel, n.Next, n.State = newID(), x.c.Name, x.now, penumbra.NoticeWaiting
	n.Created = x.now.Add(time.Duration(len(x.notices))) // so that their order stays
	loud := x.c.LoudCritical && n.Severity == penumbra.CriticalSeverity
	if !loud && (held || !x.c.keeps() && !x.c.quiet(x.now).IsZero()) {
		n.State = penumbra.NoticeHeld
	}
	redact(&n)
	x.notices = append(x.notices, n)
}

func newID() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // never fails
	return "m-" + hex.EncodeToString(b)
}
