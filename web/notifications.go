package web

import (
	"net/http"
	"slices"

	"github.com/penumbra-iac/penumbra"
)

const (
	noticesPerPage = 50
	// shownNotices is how many of the newest are looked through.
	shownNotices = 1000
)

// noticeStates are those that the list can be narrowed to.
var noticeStates = []penumbra.NoticeState{penumbra.NoticeWaiting, penumbra.NoticeHeld, penumbra.NoticeSent, penumbra.NoticeDead, penumbra.NoticeFolded}

// noticePage is how channels do, what was given up, and what people were told, the
// newest first.
type noticePage struct {
	Channels []penumbra.ChannelStatus
	Dead     []penumbra.Notice // given up, of all channels
	Rows     []penumbra.Notice
	Found    int
	Changes  bool // who is signed in may test channels, and send again
	Channel  string
	State    penumbra.NoticeState
	States   []penumbra.NoticeState
	paging
}

// Narrowed reports whether the list is not of all notices.
func (p *noticePage) Narrowed() bool { return p.Channel != "" || p.State != "" }

func (s *site) notifications(w http.ResponseWriter, r *http.Request, sess session) error {
	page := noticePage{
		Channel: r.URL.Query().Get("channel"), State: penumbra.NoticeState(r.URL.Query().Get("state")), States: noticeStates,
		Changes: s.may(r.Context(), "notice.change", penumbra.Target{}),
	}
	var err error
	if page.Channels, err = s.service.Channels(r.Context()); err != nil {
		return err
	}
	dead := []penumbra.NoticeState{penumbra.NoticeDead}
	if page.Dead, err = s.service.Notices(r.Context(), penumbra.NoticeQuery{States: dead, Limit: shownNotices}); err != nil {
		return err
	}
	slices.Reverse(page.Dead)
	q := penumbra.NoticeQuery{Channel: page.Channel, Limit: shownNotices}
	if slices.Contains(noticeStates, page.State) {
		q.States = []penumbra.NoticeState{page.State}
	}
	all, err := s.service.Notices(r.Context(), q)
	if err != nil {
		return err
	}
	slices.Reverse(all)
	page.Found = len(all)
	first, last := page.take(len(all), noticesPerPage, r.URL)
	page.Rows = all[first:last]
	s.show(w, http.StatusOK, "notifications.html", s.frame(r, "Notifications", sess, &page))
	return nil
}

// noticePages are the pages of what a notice may tell of.
var noticePages = map[penumbra.NoticeAbout]string{
	penumbra.AboutDrift: "/drift", penumbra.AboutAnomaly: "/anomaly", penumbra.AboutRun: "/run", penumbra.AboutApproval: "/proposal",
}

// noticeLink is the page of what a notice tells of, "" if it is of several things or
// has no page.
func noticeLink(n penumbra.Notice) string {
	if page := noticePages[n.About]; page != "" && len(n.Subjects) == 1 {
		return linkTo(page, n.Subjects[0])
	}
	return ""
}

// testChannel sends a notice of nothing; the list has it then, or a page says why it
// did not arrive.
func (s *site) testChannel(w http.ResponseWriter, r *http.Request, sess session) error {
	n, err := s.service.TestChannel(r.Context(), r.PostForm.Get("channel"), sess.principal.Name)
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/notifications#"+n.ID, http.StatusSeeOther)
	return nil
}

// resendNotice has one sent again that was given up.
func (s *site) resendNotice(w http.ResponseWriter, r *http.Request, _ session) error {
	n, err := s.service.ResendNotice(r.Context(), r.PostForm.Get("notice"))
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/notifications#"+n.ID, http.StatusSeeOther)
	return nil
}
