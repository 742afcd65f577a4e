package machine

import "testing"

func TestThis(t *testing.T) {
	if m := This(); m.CPU == "" || m.Cores < 1 || m.Kernel == "" || m.Go == "" || m.Time.IsZero() || m.LoadAverage == "" {
		t.Errorf("%+v", m)
	}
}

func TestCPUModel(t *testing.T) {
	for cpuinfo, want := range map[string]string{
		"processor\t: 0\nmodel name\t: Zen: 4\nmodel name\t: other\n": "Zen: 4",
		"processor\t: 0\n": "unknown",
	} {
		if got := cpuModel(cpuinfo); got != want {
			t.Errorf("cpuModel(%q) = %q, want %q", cpuinfo, got, want)
		}
	}
}
