package webhook_test

import (
	"io"
	"log"
	"net/http"
	"os"

	"github.com/penumbra-iac/penumbra/adapter/webhook"
)

func ExampleReceiver() {
	receiver, err := webhook.NewReceiver(os.Getenv("HOOK_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("POST /penumbra", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		m, repeated, err := receiver.Take(r.Header, body)
		switch {
		case err != nil:
			w.WriteHeader(http.StatusForbidden)
		case !repeated:
			log.Println(m.Data.Severity, m.Type, m.Data.Title)
		}
	})
}
