package main

import (
	"encoding/json"
	"fmt"
	"io"
)

// checkFormat checks what was given as -o.
func checkFormat(format string) error {
	if format != "text" && format != "json" {
		return usageError{fmt.Errorf("-o is %q: choose text or json", format)}
	}
	return nil
}

// report is what a command found.
type report interface {
	WriteText(w io.Writer) error
}

func printReport(found report, format string, out output) error {
	if format == "json" {
		return printJSON(out, found)
	}
	return found.WriteText(out.stdout)
}

func printJSON(out output, v any) error {
	encoder := json.NewEncoder(out.stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
