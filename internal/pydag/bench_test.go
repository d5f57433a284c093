package pydag

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// BenchmarkRead1000Lines reads a file of 1,000 lines with 100 DAGs.
func BenchmarkRead1000Lines(b *testing.B) {
	var text strings.Builder
	text.WriteString("from airflow.sdk import DAG\n")
	for i := range 100 {
		fmt.Fprintf(&text, "with DAG('d%d', schedule='@daily', tags=['a']):\n", i)
		for j := range 9 {
			fmt.Fprintf(&text, "    t%d = BashOperator(task_id='t%d', bash_command='echo {{ ds }}', retries=%d)\n", j, j, j)
		}
	}
	r := opened(b, 1)
	for b.Loop() {
		if f := read(b, r, text.String()); len(f.DAGs) != 100 {
			b.Fatalf("%d DAGs, want 100", len(f.DAGs))
		}
	}
}

func BenchmarkColdStart(b *testing.B) {
	for b.Loop() {
		startIn(b, b.TempDir())
	}
}

func BenchmarkWarmStart(b *testing.B) {
	dir := b.TempDir()
	startIn(b, dir)
	for b.Loop() {
		startIn(b, dir)
	}
}

// startIn opens a reader with a folder of compiled code, and reads one line.
func startIn(b *testing.B, dir string) {
	r, err := Open(context.Background(), dir, 1)
	if err != nil {
		b.Fatal(err)
	}
	read(b, r, "x = 1\n")
	if err := r.Close(); err != nil {
		b.Fatal(err)
	}
}
