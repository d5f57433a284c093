package airflow_test

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

// times are how long it took from a deploy's end, when it is mounted, until
// Airflow listed it, in the order in which they were measured.
var times struct {
	mu   sync.Mutex
	rows []string
}

// atMost is how long it may take until Airflow lists a deploy, on a machine
// that does much else.
const atMost = 200 * time.Second

// soon waits until Airflow lists exactly want, and keeps how long that took.
func (s *story) soon(t *testing.T, what string, want map[string][]string) {
	t.Helper()
	start := time.Now()
	s.listed(t, want)
	took := time.Since(start)
	if took > atMost {
		t.Errorf("%s was listed after %s, want at most %s", what, took, atMost)
	}
	times.mu.Lock()
	defer times.mu.Unlock()
	times.rows = append(times.rows, fmt.Sprintf("| %s | %s | %s | %.1f s |", s.version, s.way, what, took.Seconds()))
}

// printTimes prints them as docs/benchmarks.md has them.
func printTimes() {
	times.mu.Lock()
	defer times.mu.Unlock()
	if len(times.rows) == 0 {
		return
	}
	fmt.Println("From mounted to listed, with the settings in examples/airflow:")
	fmt.Println("| Airflow | connected by | what | time |")
	fmt.Println("| --- | --- | --- | --- |")
	for _, row := range times.rows {
		fmt.Println(row)
	}
}
