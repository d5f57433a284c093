// Command demo fills an empty data folder with a year of work, for trying and
// for pictures: teams, a project of 126 files, deploys of every kind and outcome.
//
//	go run ./scripts/demo --data .cache/demo --serve .cache/bin/slipway
//
// The work is done by the portal's own engine, whose clock is moved. With
// --serve the portal runs afterwards, with agents.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"slipway/internal/datadir"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir := flag.String("data", filepath.Join(".cache", "demo"), "data folder to fill; a filled one stays as it is")
	binary := flag.String("serve", "", "slipway's binary, to run the portal and its agents with; none by default")
	listen := flag.String("listen", "localhost:8888", "where the portal listens")
	flag.Parse()
	err := run(ctx, *dir)
	if err == nil {
		fmt.Printf("A year of work is in %s. Sign in as %s with the password %q.\n", *dir, people[0].email, password)
	}
	if err == nil && *binary != "" {
		err = serve(ctx, *binary, *dir, *listen)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run fills dir. A year that was interrupted begins again, as half a year would
// be taken for a whole one.
func run(ctx context.Context, dir string) error {
	if _, err := os.Stat(filepath.Join(dir, datadir.Database)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	part := dir + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	y, err := newYear(ctx, part, time.Now())
	if err != nil {
		return err
	}
	fmt.Println("A year of work is being done, in a minute or two …")
	if err := errors.Join(y.live(ctx), y.close(), configure(part, y.agents)); err != nil {
		return err
	}
	return os.Rename(part, dir)
}
