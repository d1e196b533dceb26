package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed assets
var assetFiles embed.FS

// assetSums are the first digits of the digests of the assets, by name: part of
// their addresses, so that a browser may keep them for good.
var assetSums = func() map[string]string {
	sums := map[string]string{}
	err := fs.WalkDir(assetFiles, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := assetFiles.ReadFile(name)
		sum := sha256.Sum256(data)
		sums[path.Base(name)] = hex.EncodeToString(sum[:6])
		return err
	})
	if err != nil {
		panic(err) // the files are fixed at compile time
	}
	return sums
}()

// asset is the address of one of the assets.
func asset(name string) string { return "/assets/" + name + "?v=" + assetSums[name] }

// assets serves the embedded files, without listing them.
func assets() http.Handler {
	sub, err := fs.Sub(assetFiles, "assets")
	if err != nil {
		panic(err) // the folder is fixed at compile time
	}
	files := http.StripPrefix("/assets/", http.FileServerFS(sub))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") {
			http.NotFound(w, r)
			return
		}
		if sum := assetSums[path.Base(r.URL.Path)]; sum != "" && r.URL.Query().Get("v") == sum {
			w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		files.ServeHTTP(w, r)
	})
}

// A navGroup is a part of the list of pages that stands on each.
type navGroup struct {
	Name  string
	Pages []navPage
}

// navPage is a page of that list; its key leads there after g.
type navPage struct{ Path, Name, Key string }

var navigation = []navGroup{
	{"Watch", []navPage{{"/", "Overview", "o"}, {"/drifts", "Drifts", "d"}, {"/resources", "Resources", "r"}, {"/anomalies", "Metrics", "m"}}},
	{"Resolve", []navPage{{"/runs", "Runs", "u"}, {"/freezes", "Freezes", "f"}, {"/knowledge", "Knowledge", "k"}}},
	{"Trust", []navPage{{"/model", "Model", "h"}, {"/sources", "Sources", "s"}, {"/notifications", "Notifications", "n"}, {"/audit", "Audit log", "a"}, {"/people", "People", "p"}, {"/settings", "Settings", "c"}}},
}

// within says which page of the list another page belongs to.
var within = map[string]string{
	"/drift": "/drifts", "/proposal": "/drifts", "/resource": "/resources", "/anomaly": "/anomalies", "/run": "/runs", "/tokens": "/people",
}

// frame is what every page has around its own data.
type frame struct {
	Title   string
	Form    string
	By      string
	Theme   string // "light" or "dark", "" for the system's
	Here    string // the page of the list that this one belongs to
	Back    string // this page, for forms that return to it
	Nav     []navGroup
	Refresh int // seconds until the page loads itself again where there is no script, 0 for never
	Now     time.Time
	Data    any
}

func (s *site) frame(r *http.Request, title string, sess session, data any) frame {
	here := r.URL.Path
	if page, ok := within[here]; ok {
		here = page
	}
	back := "/"
	if r.Method == http.MethodGet {
		back = r.URL.RequestURI()
	}
	return frame{Title: title, Form: sess.form, By: sess.principal.Name, Theme: themeOf(r), Here: here, Back: back, Nav: s.navigation(r), Now: s.now(), Data: data}
}

// themeCookie keeps which colours a browser wants. It says nothing of a person.
const themeCookie = "penumbra_theme"

func themeOf(r *http.Request) string {
	c, err := r.Cookie(themeCookie)
	if err != nil || c.Value != "light" && c.Value != "dark" {
		return ""
	}
	return c.Value
}

// theme sets the colours and goes back to the page.
func (s *site) theme(w http.ResponseWriter, r *http.Request, _ session) error {
	cookie := &http.Cookie{Name: themeCookie, Value: r.PostForm.Get("theme"), Path: "/", MaxAge: int(year / time.Second), HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if cookie.Value != "light" && cookie.Value != "dark" {
		cookie.Value, cookie.MaxAge = "", -1
	}
	http.SetCookie(w, cookie)
	http.Redirect(w, r, onSite(r.PostForm.Get("back")), http.StatusSeeOther)
	return nil
}

const year = 365 * 24 * time.Hour
