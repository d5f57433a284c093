package main

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver
)

// deploys measures deploys of a whole project, the first into an empty
// Deployment and those that change 1 % of its files, each in turn with tar.
func (b *bench) deploys(ctx context.Context, kind string) (err error) {
	f, err := b.followed(ctx, kind)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	if err := b.full(ctx, kind, f); err != nil {
		return err
	}
	return b.changed(ctx, kind, f)
}

// followed starts a portal on a fresh folder whose deploys are followed, until it
// is closed.
func (b *bench) followed(ctx context.Context, name string) (*follower, error) {
	p, err := b.portal(ctx, name)
	if err != nil {
		return nil, err
	}
	f := &follower{p: p}
	if err := f.open(); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return f, nil
}

// portal starts a portal on a fresh folder.
func (b *bench) portal(ctx context.Context, name string) (*portal, error) {
	data, err := b.fresh(ctx, name)
	if err != nil {
		return nil, err
	}
	return b.serve(ctx, data)
}

// full deploys the whole project to a new Deployment each time.
func (b *bench) full(ctx context.Context, kind string, f *follower) error {
	return b.inTurn(ctx, kind+", all files", 1, f, func(i int) (string, string, error) {
		archive, err := b.archive(ctx, kind, 0)
		if err != nil {
			return "", "", err
		}
		of, err := f.p.addDeployment(ctx, fmt.Sprintf("%s %d", kind, i))
		return of, archive, err
	})
}

// changed deploys the project again and again, 1 % of its files changed each time.
func (b *bench) changed(ctx context.Context, kind string, f *follower) error {
	of, err := f.p.addDeployment(ctx, kind+" changing")
	if err != nil {
		return err
	}
	whole, err := b.archive(ctx, kind, 0)
	if err != nil {
		return err
	}
	if _, _, err := f.deploy(ctx, of, whole); err != nil {
		return err
	}
	return b.inTurn(ctx, kind+", 1 % of the files changed", 0.5, f, func(i int) (string, string, error) {
		archive, err := b.archive(ctx, kind, i+1)
		return of, archive, err
	})
}

// inTurn deploys and unpacks in turn what next names.
func (b *bench) inTurn(ctx context.Context, what string, bar float64, f *follower, next func(i int) (of, archive string, err error)) error {
	var ours, theirs, cpu, tarCPU sample
	steps := map[string]sample{}
	for i := range b.pairs + 1 {
		of, archive, err := next(i)
		if err != nil {
			return err
		}
		if err := settle(ctx, b.dir); err != nil {
			return err
		}
		busy := f.p.busy()
		took, step, err := f.deploy(ctx, of, archive)
		if err != nil {
			return err
		}
		busy = f.p.busy() - busy
		tar, tarBusy, err := b.untar(ctx, archive)
		if err != nil {
			return err
		}
		if i == 0 {
			continue // to warm up
		}
		ours, theirs = append(ours, took*1000), append(theirs, tar*1000)
		cpu, tarCPU = append(cpu, busy*1000), append(tarCPU, tarBusy*1000)
		for name, d := range step {
			steps[name] = append(steps[name], d)
		}
	}
	b.compare(what+": upload to mounted, ms, against tar xzf and sync -f", "%.0f", ours, theirs, bar)
	b.note("of it: upload, staging, confirming and storing, mounting", stepText(steps))
	b.note("processor time, ms, and that of tar and gzip", cpu.text("%.0f")+" and "+tarCPU.text("%.0f"))
	return nil
}

func stepText(steps map[string]sample) string {
	var all []string
	for _, name := range stepNames {
		all = append(all, fmt.Sprintf("%.0f", steps[name].median()))
	}
	return strings.Join(all, " + ")
}

// stepNames are the steps of a deploy, by the times its record keeps.
var stepNames = []string{"upload", "stage", "store", "mount"}

// follower knows when a deploy's record changes, without asking the portal.
type follower struct {
	p  *portal
	db *sql.DB
}

func (f *follower) open() error {
	found, err := filepath.Glob(filepath.Join(f.p.data, "*.db"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("the database in %s: found %v: %w", f.p.data, found, fs.ErrNotExist)
	}
	f.db, err = sql.Open("sqlite", "file:"+found[0]+"?mode=ro&_pragma=busy_timeout(10000)")
	return err
}

// close ends the portal, too.
func (f *follower) close() error { return errors.Join(f.db.Close(), f.p.stop()) }

// deploy uploads archive and confirms it, and returns the seconds from the
// first request until it runs, and the milliseconds of its steps. more is said
// of the upload, as names and values.
func (f *follower) deploy(ctx context.Context, of, archive string, more ...string) (float64, map[string]float64, error) {
	began := time.Now()
	n, err := f.p.upload(ctx, of, archive, more...)
	if err != nil {
		return 0, nil, err
	}
	if err := f.until(ctx, of, n, "staged"); err != nil {
		return 0, nil, err
	}
	if err := f.confirm(ctx, of, n); err != nil {
		return 0, nil, err
	}
	if err := f.until(ctx, of, n, "deployed"); err != nil {
		return 0, nil, err
	}
	took := time.Since(began).Seconds()
	step, err := f.steps(ctx, of, n, began)
	return took, step, err
}

// upload sends archive as the page's upload client does and returns the number
// of its deploy.
func (p *portal) upload(ctx context.Context, of, archive string, more ...string) (int, error) {
	file, err := os.Open(archive)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	size := strconv.FormatInt(info.Size(), 10)
	meta := metadata(append([]string{"deployment", of, "filename", filepath.Base(archive), "kind", "archive"}, more...)...)
	begun, err := p.send(ctx, http.MethodPost, "/uploads", map[string]string{
		"Tus-Resumable": "1.0.0", "Upload-Length": size, "Upload-Metadata": meta, "Sec-Fetch-Site": "same-origin",
	}, nil)
	if err != nil {
		return 0, err
	}
	done, err := p.send(ctx, http.MethodPatch, begun.Get("Location"), map[string]string{
		"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Length": size,
		"Content-Type": "application/offset+octet-stream", "Sec-Fetch-Site": "same-origin",
	}, file)
	if err != nil {
		return 0, err
	}
	at := done.Get("Slipway-Deploy")
	return strconv.Atoi(at[strings.LastIndex(at, "/")+1:])
}

func metadata(pairs ...string) string {
	var all []string
	for pair := range slices.Chunk(pairs, 2) {
		all = append(all, pair[0]+" "+base64.StdEncoding.EncodeToString([]byte(pair[1])))
	}
	return strings.Join(all, ",")
}

// until waits for a deploy to be in a status.
func (f *follower) until(ctx context.Context, of string, n int, want string) error {
	for {
		var got, reason string
		err := f.db.QueryRowContext(ctx, `SELECT status, reason FROM deploys WHERE deployment = ? AND number = ?`, of, n).Scan(&got, &reason)
		switch {
		case err != nil:
			return err
		case got == want:
			return nil
		case got == "failed" || got == "cancelled":
			return fmt.Errorf("deploy #%d is %s: %s", n, got, reason)
		}
		time.Sleep(time.Millisecond)
	}
}

// confirm answers the form of a staged deploy. Reading it takes people longer
// than anything here, and is left out.
func (f *follower) confirm(ctx context.Context, of string, n int) error {
	var base string
	err := f.db.QueryRowContext(ctx, `SELECT version FROM deployments WHERE id = ?`, of).Scan(&base)
	if err != nil {
		return err
	}
	_, err = f.p.post(ctx, fmt.Sprintf("/deployments/%s/deploys/%d/confirm", of, n), url.Values{"base": {base}})
	return err
}

// steps returns how long each step of a deploy took, in milliseconds.
func (f *follower) steps(ctx context.Context, of string, n int, began time.Time) (map[string]float64, error) {
	at := make([]int64, 4)
	err := f.db.QueryRowContext(ctx, `SELECT uploaded_at, staged_at, live_at, ended_at FROM deploys WHERE deployment = ? AND number = ?`,
		of, n).Scan(&at[0], &at[1], &at[2], &at[3])
	steps, last := map[string]float64{}, began.UnixMilli()
	for i, name := range stepNames {
		steps[name] = float64(at[i] - last)
		last = at[i]
	}
	return steps, err
}
