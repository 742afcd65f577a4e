package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// tick is the unit of CPU times in /proc: USER_HZ is 100 on every Linux that
// Go runs on.
const tick = time.Second / 100

// CPU is the user and system time that all threads of the child have had, in
// steps of 10 ms (proc_pid_stat(5)).
func (p *Process) CPU() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return 0, err
	}
	return parseStat(stat)
}

func parseStat(stat []byte) (time.Duration, error) {
	// The second field is the program's name in brackets; it may hold spaces.
	const user, system = 14 - 3, 15 - 3 // counted from the third field
	end := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[end+1:])
	if end < 0 || len(fields) <= system {
		return 0, fmt.Errorf("read stat: %q", stat)
	}
	var ticks int64
	for _, field := range [][]byte{fields[user], fields[system]} {
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick, nil
}

// Memory is resident memory in bytes.
type Memory struct {
	Resident int64 // now
	Peak     int64 // since the start of the process
}

// Memory reads what the child has resident (proc_pid_status(5)).
func (p *Process) Memory() (Memory, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return Memory{}, err
	}
	return parseStatus(status)
}

func parseStatus(status []byte) (Memory, error) {
	var m Memory
	for line := range bytes.Lines(status) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "VmRSS":
			m.Resident = kilobytes(value)
		case "VmHWM":
			m.Peak = kilobytes(value)
		}
	}
	if m.Resident <= 0 || m.Peak <= 0 {
		return Memory{}, fmt.Errorf("read status: no memory in %q", status)
	}
	return m, nil
}

// kilobytes reads "  1234 kB" as bytes, and 0 where that isn't it.
func kilobytes(value []byte) int64 {
	n, unit, _ := bytes.Cut(bytes.TrimSpace(value), []byte(" "))
	count, err := strconv.ParseInt(string(n), 10, 64)
	if err != nil || string(unit) != "kB" {
		return 0
	}
	return count << 10
}
