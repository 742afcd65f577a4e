// Command baseline is what LogPipeline is measured against: small faithful
// versions of the designs that were reviewed before it, and the plain way to do
// it in Go. They are built from the description alone; what that leaves open is
// chosen in their favour. Each takes POST /logs with one record a line.
//
//	baseline file     the handler appends the batch to a file, under one lock
//	baseline handler  the handler produces to Kafka itself
//	baseline channel  the handler puts the batch into a channel of a million
//	                  batches, from which 100 workers produce
//	baseline checked  as handler, and each record must be JSON
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

type settings struct {
	listen, brokers, topic, file, compression string
}

// A design stores the batch of a request; only then, or with an error, is the
// request answered.
type design struct {
	store  func(r *http.Request, body []byte) error
	status int // of the answer when it has done so
}

var designs = map[string]func(settings) (design, error){
	"file":    newFile,
	"handler": newHandler,
	"channel": newChannel,
	"checked": newChecked,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "baseline: %v\n", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 || designs[arguments[0]] == nil {
		return errors.New("name a design: file, handler, channel or checked")
	}
	var s settings
	flags := flag.NewFlagSet(arguments[0], flag.ContinueOnError)
	flags.StringVar(&s.listen, "listen", "127.0.0.1:8080", "take POST /logs at this `address`")
	flags.StringVar(&s.brokers, "brokers", "127.0.0.1:9092", "bootstrap `address` of Kafka")
	flags.StringVar(&s.topic, "topic", "logs", "produce to this `topic`")
	flags.StringVar(&s.file, "file", "logs.ndjson", "append to this `file`")
	flags.StringVar(&s.compression, "compression", "none", "`codec` of the record batches: none or snappy")
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	d, err := designs[arguments[0]](s)
	if err != nil {
		return err
	}
	server := http.Server{Addr: s.listen, Handler: d, ReadHeaderTimeout: 10 * time.Second}
	return server.ListenAndServe()
}

func (d design) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/logs" || r.Method != http.MethodPost {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := d.store(r, body); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(d.status)
}

// lines are the records of a body.
func lines(body []byte) [][]byte {
	return bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
}
