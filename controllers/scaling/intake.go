package scaling

import "time"

// Intake is what an ingester has taken until a time.
type Intake struct {
	Name string
	// Started tells one process from the next of the same name.
	Started, At time.Time
	// Accepted records since the start, and the bytes that wait for Kafka.
	Accepted, QueueBytes int64
}

// IntakeMeter tells from successive samples how many ingesters what comes
// takes. Queues alone don't: where there are enough ingesters they are empty,
// whether the ingesters have much to do or nothing. The zero value is ready.
type IntakeMeter struct {
	before map[string]Intake
	most   map[string]float64 // records a second that each was seen to take
}

// Observe takes another sample of all ingesters, and returns how many it would
// take at the least for what they have taken since the one before: each planned
// to be as busy as the busiest of them has been, which is known to be possible.
// It is 0 while nothing comes, or nothing is known.
func (m *IntakeMeter) Observe(intakes []Intake) (pods float64) {
	before, most := m.before, m.most
	m.before, m.most = make(map[string]Intake, len(intakes)), make(map[string]float64, len(intakes))
	var rate, best float64
	for _, i := range intakes {
		m.before[i.Name] = i
		b, known := before[i.Name]
		if !known || !b.Started.Equal(i.Started) {
			continue
		}
		m.most[i.Name] = most[i.Name]
		if elapsed := i.At.Sub(b.At).Seconds(); elapsed > 0 {
			taken := float64(i.Accepted-b.Accepted) / elapsed
			rate += taken
			if i.QueueBytes <= b.QueueBytes { // it delivered all that it took
				m.most[i.Name] = max(m.most[i.Name], taken)
			}
		}
		best = max(best, m.most[i.Name])
	}
	if best == 0 {
		return 0
	}
	return rate / best / plannedShare
}

func intakesOf(answers []answered) []Intake {
	var intakes []Intake
	for _, a := range answers {
		if i := a.Ingester; i != nil {
			intakes = append(intakes, Intake{a.pod, a.Started, a.at, i.AcceptedRecords, i.QueueBytes})
		}
	}
	return intakes
}
