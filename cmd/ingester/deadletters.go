package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/logpipeline/logpipeline/ingester/config"
	"github.com/logpipeline/logpipeline/ingester/deadletter"
	"github.com/logpipeline/logpipeline/ingester/kafka"
	"github.com/logpipeline/logpipeline/ingester/record"
)

const deadLettersUsage = `Usage: ingester dead-letters list [FLAGS]
       ingester dead-letters replay [FLAGS]

Dead letters are records that were not delivered and whose client could not be
told so any more. list shows them; replay puts back those that certainly aren't
in the topic and for which a client holds a receipt. What a client was never
acknowledged it had to send again by itself.

ingester dead-letters list --help and replay --help list the flags.
`

// deadLetters lists what could not be delivered, or puts it back.
func deadLetters(ctx context.Context, arguments []string, out output) error {
	if len(arguments) == 0 {
		return usageError{errors.New("choose list or replay")}
	}
	switch verb, rest := arguments[0], arguments[1:]; verb {
	case "list":
		return listDeadLetters(ctx, rest, out)
	case "replay":
		return replayDeadLetters(ctx, rest, out)
	case "-h", "--help", "-help":
		fmt.Fprint(out.stdout, deadLettersUsage)
		return flag.ErrHelp
	default:
		return usageError{fmt.Errorf("there is no %q: choose list or replay", verb)}
	}
}

// listDeadLetters prints the letters that are left, the oldest first. Where the
// topic can't be read it prints those of the folder, and fails. Without a
// configuration it would find the default's empty folder, and nothing amiss.
func listDeadLetters(ctx context.Context, arguments []string, out output) error {
	flags := flag.NewFlagSet("dead-letters list", flag.ContinueOnError)
	format := flags.String("o", "text", "print them as `text` or json")
	cfg, err := deadLetterConfig(flags, arguments, out)
	if err != nil {
		return err
	}
	if flags.Lookup("config").Value.String() == "" {
		return usageError{errors.New("neither topic nor folder to look into: give --config")}
	}
	if cfg.DeadLetter.Topic != "" && len(cfg.Kafka.BootstrapServers) == 0 {
		return usageError{errors.New("deadLetter.topic is set, but there are no brokers to ask for it: name them in kafka.bootstrapServers")}
	}
	if *format != "text" && *format != "json" {
		return usageError{fmt.Errorf("-o is %q: choose text or json", *format)}
	}
	client := deadLetterClient(cfg)
	defer client.Close()
	inventory, failed := deadletter.Scan(ctx, client, cfg.DeadLetter.Topic, cfg.DeadLetterDir())
	if *format == "json" {
		encoder := json.NewEncoder(out.stdout)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(inventory)
	} else {
		err = printLetters(out.stdout, inventory)
	}
	return errors.Join(failed, err)
}

func replayDeadLetters(ctx context.Context, arguments []string, out output) error {
	var replayer deadletter.Replayer
	flags := flag.NewFlagSet("dead-letters replay", flag.ContinueOnError)
	flags.BoolVar(&replayer.IncludeUnknown, "include-unknown", false, "also replay records that may be in the topic already")
	flags.BoolVar(&replayer.IncludeUnacknowledged, "include-unacknowledged", false, "also replay records for which no client holds a receipt, and which it may have sent again")
	flags.StringVar(&replayer.Batch, "batch", "", "replay the records of the batch with this `id` only")
	cfg, err := deadLetterConfig(flags, arguments, out)
	if err != nil {
		return err
	}
	if len(cfg.Kafka.BootstrapServers) == 0 || cfg.Topic == "" {
		return usageError{errors.New("no brokers or no topic: give --config")}
	}
	if replayer.Key, err = record.KeyOf(cfg.Producer.KeyField); err != nil {
		return err
	}
	client := deadLetterClient(cfg)
	defer client.Close()
	replayer.Client = client
	replayer.Topic, replayer.DeadLetterTopic, replayer.Dir = cfg.Topic, cfg.DeadLetter.Topic, cfg.DeadLetterDir()
	result, err := replayer.Replay(ctx)
	printResult(out.stdout, result, cfg.Topic)
	if err == nil && result.Refused+result.Corrupt > 0 {
		err = errSaid
	}
	return err
}

func deadLetterConfig(flags *flag.FlagSet, arguments []string, out output) (config.Config, error) {
	file := flags.String("config", "", "read topics, brokers and folder from this configuration `file`")
	if err := parse(flags, arguments, out); err != nil {
		return config.Config{}, err
	}
	return config.ReadFile(*file, config.Default())
}

// deadLetterClient knows both topics.
func deadLetterClient(cfg config.Config) *kafka.Client {
	topics := []string{cfg.Topic}
	if cfg.DeadLetter.Topic != "" {
		topics = append(topics, cfg.DeadLetter.Topic)
	}
	return kafka.New(cfg.Kafka, topics...)
}

// printLetters is what somebody reads who was woken up by them.
func printLetters(w io.Writer, inventory *deadletter.Inventory) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(inventory.Letters) > 0 {
		fmt.Fprintln(table, "GIVEN UP\tBATCH\tRECORDS\tTO\tIN THE TOPIC?\tRECEIPT?\tKEPT IN")
	}
	records := 0
	for _, e := range inventory.Letters {
		records += e.Pending
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Time.UTC().Format(time.RFC3339), e.Batch, counted(e), destination(e.Letter),
			choose(e.Unknown, "perhaps", "no"), choose(e.Acknowledged, "yes", "no"), place(e))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for i, e := range inventory.Letters {
		if i == 0 || e.Reason != inventory.Letters[i-1].Reason {
			fmt.Fprintf(w, "\n%s: %s\n", e.Time.UTC().Format(time.RFC3339), printable(e.Reason))
		}
		fmt.Fprintf(w, "  %s: %s\n", e.Batch, printable(e.Sample))
	}
	for _, problem := range inventory.Corrupt {
		fmt.Fprintf(w, "\ncan't be read: %s\n", problem)
	}
	fmt.Fprintf(w, "\n%d records in %d letters are left; %d were replayed\n", records, len(inventory.Letters), inventory.Replayed)
	if inventory.Foreign > 0 {
		fmt.Fprintf(w, "%d records of the topic are no dead letters of ours\n", inventory.Foreign)
	}
	return nil
}

// printable is what a terminal can show without obeying it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\ufffd'
	}, s)
}

func counted(e deadletter.Entry) string {
	if e.Pending < e.Records {
		return fmt.Sprintf("%d of %d", e.Pending, e.Records)
	}
	return strconv.Itoa(e.Records)
}

func destination(l deadletter.Letter) string {
	if l.Partition < 0 {
		return l.Topic
	}
	return fmt.Sprintf("%s/%d", l.Topic, l.Partition)
}

func place(e deadletter.Entry) string {
	switch {
	case e.InTopic && e.InFolder:
		return "both"
	case e.InTopic:
		return "topic"
	default:
		return "folder"
	}
}

func choose(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}

// printResult says what was done, and what was left and why.
func printResult(w io.Writer, r deadletter.Result, topic string) {
	fmt.Fprintf(w, "%d records were replayed into %s\n", r.Replayed, topic)
	for _, left := range []struct {
		records int
		why     string
	}{
		{r.Before, "had been replayed before"},
		{r.Unknown, "were left: they may be in the topic already (--include-unknown replays them nevertheless)"},
		{r.Unacknowledged, "were left: their client holds no receipt, and may have sent them again (--include-unacknowledged)"},
		{r.OfAnother, "were left: they are of another batch or topic"},
		{r.Refused, "were left: the topic refused them again: " + r.Refusal},
		{r.Corrupt, "files can't be read; ingester dead-letters list names them"},
	} {
		if left.records > 0 {
			fmt.Fprintf(w, "%d %s\n", left.records, left.why)
		}
	}
}
