package main

// scenario is how a contender is loaded.
type scenario struct {
	name        string
	connections int
	rate        int  // requests a second; 0: as fast as they are answered
	realKafka   bool // instead of the discarding broker
}

const (
	closed64 = "64 connections"
	rate500  = "500 requests/s"
)

// scenarios are those of a whole run, or of a quick one. At a fixed rate there
// are more connections than can be busy at once.
func scenarios(quick, withKafka bool) []scenario {
	all := []scenario{
		{name: closed64, connections: 64},
		{name: rate500, connections: 64, rate: 500},
	}
	if quick {
		return all
	}
	all = append(all,
		scenario{name: "16 connections", connections: 16},
		scenario{name: "50 requests/s", connections: 64, rate: 50},
	)
	if withKafka {
		for _, s := range all {
			s.name, s.realKafka = onKafka(s.name), true
			all = append(all, s)
		}
	}
	return all
}

func onKafka(scenario string) string { return scenario + ", real Kafka" }

// takesPart keeps a whole run at half an hour: codecs are compared by CPU, so
// at full load and on the discarding broker alone.
func (s scenario) takesPart(c contender) bool {
	if s.realKafka {
		return c.codec == "none" && c.acknowledgement != inFile
	}
	return c.codec == "none" || s.rate == 0
}
