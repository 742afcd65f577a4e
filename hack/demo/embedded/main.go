// Command embedded runs the broker that serves the demo where Java is missing:
// franz-go's kfake, with its data on disk.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

func main() {
	listen := flag.String("listen", "", "the address to listen at and to advertise")
	dataDir := flag.String("data-dir", "", "where the broker keeps its data")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := serve(ctx, *listen, *dataDir)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "embedded broker:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, listen, dataDir string) error {
	var config net.ListenConfig
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DataDir(dataDir), kfake.SyncWrites(),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) { return config.Listen(ctx, network, listen) }))
	if err != nil {
		return err
	}
	fmt.Println("listening at", cluster.ListenAddrs())
	<-ctx.Done()
	cluster.Close()
	return nil
}
