package wire

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// A request that finds all places taken is sent away at once, and the others are
// answered.
func TestBounded(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	h := bounded(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-leave
	}), 2)
	codes := make(chan int, 2)
	for range 2 {
		go func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
			codes <- w.Code
		}()
		<-entered
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("the third is answered with %d, %v", w.Code, w.Header())
	}
	close(leave)
	for range 2 {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("one that was let in is answered with %d", code)
		}
	}
}
