package web

import (
	"net/url"
	"strconv"
)

// paging is one page of a list.
type paging struct {
	Page, Pages    int
	Previous, Next string // addresses, "" for none
}

// take chooses the page that an address asks for, the first if it asks for what is
// no number, and returns the bounds of its rows.
func (p *paging) take(rows, perPage int, u *url.URL) (first, last int) {
	p.Pages = max(1, (rows+perPage-1)/perPage)
	wanted, _ := strconv.Atoi(u.Query().Get("page"))
	p.Page = min(max(1, wanted), p.Pages)
	if p.Page > 1 {
		p.Previous = pageAddress(u, p.Page-1)
	}
	if p.Page < p.Pages {
		p.Next = pageAddress(u, p.Page+1)
	}
	first = (p.Page - 1) * perPage
	return first, min(first+perPage, rows)
}

// mostPages keeps a number that somebody made up from overflowing.
const mostPages = 1_000_000

// offset returns how many rows stand before the page that an address asks for, whether
// it is there or not.
func offset(perPage int, u *url.URL) int {
	page, _ := strconv.Atoi(u.Query().Get("page")) // what is no number is the first page
	return perPage * (min(max(page, 1), mostPages) - 1)
}

func pageAddress(u *url.URL, page int) string {
	query := u.Query()
	query.Set("page", strconv.Itoa(page))
	for name := range query {
		if query.Get(name) == "" {
			query.Del(name)
		}
	}
	return localURL(u.Path, query)
}
