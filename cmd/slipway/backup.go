package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"slipway/internal/backup"
	"slipway/internal/durable"
	"slipway/internal/slipway"
	"slipway/store"
)

// backupCommand writes all data of an installation to one file.
type backupCommand struct {
	dataFlag
	bucketFlag
	File string `arg:"" help:"File to write. It appears once it is complete, in place of an older one."`
}

// Run is the command.
func (b backupCommand) Run(ctx context.Context, c console) error {
	d, err := b.attach(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	bundles, err := b.attachBundles(ctx, d.dir)
	if err != nil {
		return err
	}
	file, err := filepath.Abs(b.File)
	if err != nil {
		return err
	}
	began := d.store.Now()
	temp, err := os.MkdirTemp(filepath.Dir(file), ".slipway-backup-*")
	if err != nil {
		return fmt.Errorf("make room for the backup: %w", err)
	}
	var totals backup.Totals
	err = durable.WriteFile(file, 0o600, func(f io.Writer) (err error) {
		w, p := bufio.NewWriterSize(f, 1<<20), newProgress(c.err, "Backed up")
		totals, err = backup.Write(ctx, d.store, bundles, d.dir, temp, w, p.of)
		return errors.Join(err, w.Flush())
	})
	if err := errors.Join(err, os.RemoveAll(temp)); err != nil {
		return err
	}
	note := store.Backup{At: d.store.Now(), File: file, Bytes: totals.Bytes, Took: d.store.Now().Sub(began)}
	if err := d.store.Update(ctx, func(tx *store.Tx) error { return noteBackup(tx, note) }); err != nil {
		fmt.Fprintf(c.err, "The backup is complete, but the portal does not know of it: %v\n", err) // the file is what counts
	}
	defer fmt.Fprintln(c.out, "The file holds secrets: keys, passwords of registries, all code. Keep it like a password.")
	if totals.Bucket != "" {
		fmt.Fprintf(c.out, "%s holds the records. The %d versions and %d packs that they name are in the bucket %s.\n", b.File, totals.Versions, totals.Packs, totals.Bucket)
		return nil
	}
	fmt.Fprintf(c.out, "%s holds the records, %d versions and %d packs: %s.\n", b.File, totals.Versions, totals.Packs, formatBytes(totals.Bytes))
	return nil
}

// noteBackup records a finished backup, for the administrator's page and the
// audit log.
func noteBackup(tx *store.Tx, b store.Backup) error {
	if err := tx.NoteBackup(b); err != nil {
		return err
	}
	return tx.Audit(localActor(), slipway.Event{Action: "backup.finish", Target: b.File, Detail: formatBytes(b.Bytes)})
}

// progress prints the progress of a long action, at intervals.
type progress struct {
	w       io.Writer
	verb    string
	printed time.Time
}

// progressEvery is the shortest time between two lines of progress.
const progressEvery = 2 * time.Second

// newProgress returns a progress printer; verb starts each line: "Backed up".
func newProgress(w io.Writer, verb string) *progress {
	return &progress{w: w, verb: verb, printed: time.Now()}
}

// of prints done of total bytes, unless the last line is recent. A total of 0 is
// unknown.
func (p *progress) of(done, total int64) {
	if time.Since(p.printed) < progressEvery {
		return
	}
	p.printed = time.Now()
	if total > 0 {
		fmt.Fprintf(p.w, "%s %s of %s.\n", p.verb, formatBytes(done), formatBytes(total))
		return
	}
	fmt.Fprintf(p.w, "%s %s.\n", p.verb, formatBytes(done))
}

// formatBytes formats a number of bytes for people.
func formatBytes(n int64) string {
	units := []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	v, i := float64(n), 0
	for ; v >= 1024 && i < len(units)-1; i++ {
		v /= 1024
	}
	if i == 0 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}
