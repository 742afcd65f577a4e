// Command profiled is `ingester serve` with a CPU profile of its whole life
// and, at its end, one of what it has allocated, for bench/intake --profile. The
// product itself has no such switch.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"syscall"

	"github.com/logpipeline/logpipeline/ingester"
	"github.com/logpipeline/logpipeline/ingester/config"
)

func main() {
	cpu := flag.String("cpu", "cpu.pprof", "write the CPU profile to this `file`, that of allocations beside it, as FILE.allocs")
	file := flag.String("config", "", "the ingester's configuration `file`")
	flag.Parse()
	runtime.MemProfileRate = 16 << 10 // bytes between samples; for CPU figures use the ingester itself
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, *file, *cpu)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "profiled: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, file, cpu string) error {
	cfg, err := config.ReadFile(file, config.Default())
	if err != nil {
		return err
	}
	if err := cfg.Validate(config.RoleServe); err != nil {
		return err
	}
	output, err := os.Create(cpu)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(output); err != nil {
		return err
	}
	served := ingester.Run(ctx, config.RoleServe, cfg, "profiled", slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	pprof.StopCPUProfile()
	return errors.Join(served, output.Close(), writeAllocations(cpu+".allocs"))
}

func writeAllocations(path string) error {
	output, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(output, 0), output.Close())
}
