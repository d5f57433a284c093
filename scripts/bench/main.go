// Command bench measures Slipway against the bars of its design and prints one
// table: what was measured, against what, and whether the bar holds. It runs
// the shipped binary on fresh folders, and signs in and uploads as a person does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"slipway/internal/durable"
)

// bench is one run of the program.
type bench struct {
	dir   string // of this run; removed at its end
	kept  string // archives, kept for the next run
	pairs int    // runs of each side, after one that does not count
	rows  []row
}

// parts are what can be measured by itself, in the order of the table.
var parts = []struct {
	name string
	run  func(*bench, context.Context) error
}{
	{"start", (*bench).start},
	{"assets", (*bench).assets},
	{"medium", func(b *bench, ctx context.Context) error { return b.deploys(ctx, "medium") }},
	{"large", func(b *bench, ctx context.Context) error { return b.deploys(ctx, "large") }},
	{"memory", (*bench).memory},
	{"storage", (*bench).storage},
	{"pages", (*bench).pages},
	{"scale", (*bench).scale},
	{"agents", (*bench).agents},
	{"agent-memory", (*bench).agentMemory},
	{"rsync", (*bench).rsync},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	dir := flags.String("dir", ".cache/bench", "folder to work in, on the disk to measure")
	pairs := flags.Int("pairs", 5, "runs of each side, after one to warm up")
	only := flags.String("only", "", "parts to measure, by commas: "+partNames())
	if err := flags.Parse(args); err != nil {
		return err
	}
	b := &bench{kept: filepath.Join(*dir, "archives"), pairs: *pairs}
	if err := os.MkdirAll(b.kept, 0o755); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp(*dir, "run-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, durable.RemoveTree(b.dir)) }()
	if err := b.build(ctx); err != nil {
		return err
	}
	for _, part := range parts {
		if *only != "" && !slices.Contains(strings.Split(*only, ","), part.name) {
			continue
		}
		began := time.Now()
		if err := part.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		slog.Info("measured", "part", part.name, "took", time.Since(began).Round(time.Second))
	}
	b.print(os.Stdout)
	return nil
}

func partNames() string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}
