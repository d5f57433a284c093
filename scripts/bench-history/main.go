// Command bench-history deploys the medium project again and again, with 1 % of
// its files changed each time, and says what deploys and mounts cost at the
// start and at the end of that history:
//
//	bench-history [-deploys 2000] [-quick] [-dir .cache/bench-history]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"

	"slipway/internal/durable"
)

const (
	heading = "%-14s %10s %8s %8s %8s %12s %12s %8s %9s %13s\n"
	line    = "%-14s %10.0f %8.0f %8.0f %8.0f %12d %12d %8s %9.1f %13.1f\n"
)

// window is over how many deploys a figure is a median.
const window = 100

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench-history:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("bench-history", flag.ContinueOnError)
	dir := flags.String("dir", ".cache/bench-history", "folder to work in")
	deploys := flags.Int("deploys", 2000, "how many deploys to make")
	kind := flags.String("project", "medium", "small, medium or large")
	quick := flags.Bool("quick", false, "send only the files that changed, and mount only for each row")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(*dir, "run-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, durable.RemoveTree(work)) }()
	src := filepath.Join(work, "project")
	corpus := exec.CommandContext(ctx, "go", "run", "./scripts/corpus", *kind, filepath.Join(src, "dags"))
	if out, err := corpus.CombinedOutput(); err != nil {
		return fmt.Errorf("make the project: %w\n%s", err, out)
	}
	h, err := newHistory(ctx, filepath.Join(work, "data"), src, *quick)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.stop()) }()
	return h.measure(ctx, *deploys)
}

// measure deploys n times and prints a row for the windows at the start, in
// between and at the end, and one for after the versions have expired.
func (h *history) measure(ctx context.Context, n int) error {
	fmt.Printf(heading, "deploys", "ms, median", "ms, p90", "cpu ms", "anon MB", "needs packs", "mount reads", "in", "packs MB", "manifests MB")
	for i := range n {
		if err := h.deploy(ctx, i); err != nil {
			return fmt.Errorf("deploy %d: %w", i+1, err)
		}
		if done := i + 1; done == window || done%(5*window) == 0 || done == n {
			if err := h.row(ctx, fmt.Sprintf("%d to %d", max(1, done-window+1), done)); err != nil {
				return err
			}
		}
	}
	slog.Info("now 91 days pass")
	h.days.Store(91)
	if err := h.until(ctx, func() (bool, error) { return h.expired(ctx) }); err != nil {
		return err
	}
	return h.row(ctx, "91 days later")
}

// row prints what the last deploys cost.
func (h *history) row(ctx context.Context, title string) error {
	s, err := h.stored(ctx)
	if err != nil {
		return err
	}
	read, took, err := h.mountAnew(ctx)
	if err != nil {
		return err
	}
	fmt.Printf(line, title,
		quantile(h.times, 0.5), quantile(h.times, 0.9), quantile(h.cpu, 0.5), anonymous()/(1<<20),
		s.claims, read, took.Round(time.Millisecond), float64(s.packs)/1e6, float64(s.manifests)/1e6)
	h.times, h.cpu = nil, nil
	return nil
}
