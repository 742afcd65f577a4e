package simulation

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"io"
	"testing"
)

func TestDrawings(t *testing.T) {
	load := Burst()
	load.Seconds = 1200
	var outcomes []Outcome
	for _, scaler := range Contenders() {
		outcomes = append(outcomes, Run(DefaultWorld(), load, scaler))
	}
	var drawing, table bytes.Buffer
	if err := errors.Join(Draw(&drawing, outcomes), WriteCSV(&table, outcomes)); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for decoder := xml.NewDecoder(&drawing); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if element, ok := token.(xml.StartElement); ok && element.Name.Local == "path" {
			lines++
		}
	}
	if lines < 3+7 {
		t.Errorf("the drawing has %d lines", lines)
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil || len(rows) != 1+load.Seconds/drawnEvery || len(rows[0]) != 11 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}
