// Command requests asks a web server for one page at a steady rate and counts
// the answers by status. It is the lab's steady load on nginx: light, bounded
// in time, one request after the other.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	url := flag.String("url", "", "the page")
	rate := flag.Float64("rate", 10, "requests a second")
	span := flag.Duration("for", time.Minute, "how long")
	flag.Parse()
	if *url == "" || *rate <= 0 || *rate > 1000 {
		fmt.Fprintln(os.Stderr, "requests: -url is needed, -rate is above 0 and at most 1000")
		os.Exit(2)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	if err := json.NewEncoder(os.Stdout).Encode(ask(*url, *rate, *span, stop)); err != nil {
		os.Exit(1)
	}
}

// ask returns how often each status came; status 0 stands for no answer.
func ask(url string, rate float64, span time.Duration, stop <-chan os.Signal) map[int]int {
	client := &http.Client{Timeout: 2 * time.Second}
	tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer tick.Stop()
	end := time.After(span)
	counts := map[int]int{}
	for {
		select {
		case <-stop:
			return counts
		case <-end:
			return counts
		case <-tick.C:
			counts[get(client, url)]++
		}
	}
}

func get(client *http.Client, url string) int {
	answer, err := client.Get(url)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<20)); err != nil {
		return 0
	}
	return answer.StatusCode
}
