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

func TestRoundUp(t *testing.T) {
	for v, want := range map[float64]float64{0: 1, 1: 1, 7: 8, 24: 30, 60: 60, 81_000: 100_000, 0.5: 1} {
		if got := roundUp(v); got != want {
			t.Errorf("roundUp(%v) = %v, want %v", v, got, want)
		}
	}
}
