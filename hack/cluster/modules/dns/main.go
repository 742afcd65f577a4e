// Command dns is CoreDNS with only the plugins that a one-node test cluster
// needs. Fewer plugins make a build of seconds and a binary of tens of
// megabytes instead of minutes and hundreds.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	// CoreDNS chains plugins in the order of this list, not in that of the
	// Corefile: names of the cluster are answered by kubernetes, and what it
	// passes on reaches template, which ends it.
	dnsserver.Directives = []string{"bind", "health", "errors", "cache", "kubernetes", "template"}
	coremain.Run()
}
