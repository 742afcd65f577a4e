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
	race := Race{Outcomes: []Outcome{Run(DefaultWorld(), load, ByDelay(Ours(), Target)), Run(DefaultWorld(), load, Oracle())}}
	var drawing, table bytes.Buffer
	if err := errors.Join(race.Draw(&drawing), race.WriteCSV(&table)); err != nil {
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
	if lines < 2+5 {
		t.Errorf("the drawing has %d lines", lines)
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil || len(rows) != 1+load.Seconds/drawnEvery || len(rows[0]) != 8 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}
