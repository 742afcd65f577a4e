// Command smoke is the workload of the cluster's smoke test: a pod that tells
// what it sees.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// data is where the persistent volume is mounted.
const data = "/data"

func main() {
	if len(os.Args) > 1 { // for `kubectl exec`
		fmt.Println(strings.Join(os.Args[1:], " "))
		return
	}
	http.HandleFunc("GET /", answer(func(r *http.Request) (string, error) {
		log.Printf("%s from %s", r.URL.Path, r.RemoteAddr)
		return os.Hostname()
	}))
	http.HandleFunc("GET /lookup", answer(lookup))
	http.HandleFunc("GET /fetch", answer(fetch))
	http.HandleFunc("GET /store", answer(store))
	log.Fatal(http.ListenAndServe(":8080", nil))
}

func answer(query func(*http.Request) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := query(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprintln(w, text)
	}
}

// lookup resolves a name with the pod's own resolver configuration.
func lookup(r *http.Request) (string, error) {
	addresses, err := net.DefaultResolver.LookupHost(r.Context(), r.FormValue("name"))
	return strings.Join(addresses, " "), err
}

// fetch gets a URL from within the pod, over a connection of its own, so that a
// Service may choose another backend each time.
func fetch(r *http.Request) (string, error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(r.FormValue("url"))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		err = errors.Join(err, errors.New(response.Status))
	}
	return string(body), err
}

// store writes a text to the persistent volume and says under which name.
func store(r *http.Request) (string, error) {
	file := filepath.Join(data, "stored")
	return file, os.WriteFile(file, []byte(r.FormValue("text")+"\n"), 0o640)
}
