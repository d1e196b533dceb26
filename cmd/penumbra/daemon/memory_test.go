package daemon

import "testing"

func TestGarbagePercent(t *testing.T) {
	t.Parallel()
	for live, want := range map[uint64]int{0: 3200, 1 << 20: 3200, 32 << 20: 400, 64 << 20: 200, 128 << 20: 100, 8 << 30: 100} {
		if got := garbagePercent(live); got != want {
			t.Errorf("of %d bytes in use GOGC is %d, want %d", live, got, want)
		}
	}
}
