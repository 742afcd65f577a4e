package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/logpipeline/logpipeline/ingester/deadletter"
)

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
	if err := printUndecodable(w, inventory.Undecodable); err != nil {
		return err
	}
	if inventory.Foreign > 0 {
		fmt.Fprintf(w, "%d records of the topic are no dead letters of ours\n", inventory.Foreign)
	}
	return nil
}

// printUndecodable lists what the consumers have set aside.
func printUndecodable(w io.Writer, undecodable []deadletter.Undecodable) error {
	if len(undecodable) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%d records or record batches could not be stored and are kept in the topic; they are never replayed:\n", len(undecodable))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "GIVEN UP\tFROM\tOFFSET\tWHAT\tBYTES\tREASON")
	for _, u := range undecodable {
		offsets := strconv.FormatInt(u.Offset, 10)
		if u.NextOffset > u.Offset+1 {
			offsets += "-" + strconv.FormatInt(u.NextOffset-1, 10)
		}
		fmt.Fprintf(table, "%s\t%s/%d\t%s\t%s\t%d\t%s\n", u.Time.UTC().Format(time.RFC3339), printable(u.Topic), u.Partition, offsets, printable(u.Content), u.Bytes, printable(u.Reason))
	}
	return table.Flush()
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
