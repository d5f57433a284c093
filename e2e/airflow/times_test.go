package airflow_test

import (
	"fmt"
	"sync"
	"time"
)

// times are how long it took from a deploy's end, when it is mounted, until
// Airflow listed it, in the order in which they were measured.
var times struct {
	mu   sync.Mutex
	rows []string
}

// note keeps what took a time. Nothing is asserted of it.
func (s *story) note(what string, took time.Duration) {
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
