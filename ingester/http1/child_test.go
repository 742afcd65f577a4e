package http1

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
)

// childVariable names the environment variable by which this program is told
// to be the client of a benchmark: "<address> <connections>".
const childVariable = "HTTP1_BENCHMARK_CLIENT"

// bodyBytes is the size of a request's body in the benchmarks: 100 records.
const bodyBytes = 25_700

// runChild is the client of a benchmark, in a process of its own so that its
// costs are not the server's. It sends as many requests as it is told by lines
// on its standard input, and answers each line when they have been answered.
func runChild() {
	address, connections, found := strings.Cut(os.Getenv(childVariable), " ")
	if !found {
		return
	}
	n, _ := strconv.Atoi(connections)
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", address)
		if err != nil {
			fail(err)
		}
		conns[i] = c
	}
	for {
		var requests int
		if _, err := fmt.Scanln(&requests); err != nil {
			os.Exit(0)
		}
		var sending sync.WaitGroup
		for i, c := range conns {
			share := requests / n
			if i < requests%n {
				share++
			}
			sending.Go(func() { drive(c, share) })
		}
		sending.Wait()
		fmt.Println("done")
	}
}

// drive sends requests over a connection, each when the last was answered. The
// answer has no length of its own in bytes that changes.
func drive(c net.Conn, requests int) {
	request := []byte(fmt.Sprintf("POST /logs HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: shipper/1.0\r\n"+
		"Content-Length: %d\r\nContent-Type: application/x-ndjson\r\nAccept-Encoding: gzip\r\n\r\n%s", bodyBytes, strings.Repeat("x", bodyBytes)))
	response := make([]byte, 4096)
	for range requests {
		if _, err := c.Write(request); err != nil {
			fail(err)
		}
		for read := 0; !strings.HasSuffix(string(response[:read]), "}\n"); {
			n, err := c.Read(response[read:])
			if err != nil || read+n == len(response) {
				fail(fmt.Errorf("read %q: %w", response[:read+n], err))
			}
			read += n
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
