package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// side is a portal with a history of some length.
type side struct {
	*portal
	of    string // the Deployment
	pages map[string]string
}

// pages measures pages over a history of a million deploys with versions of
// nearly 100,000 files, against one of a thousand of each.
func (b *bench) pages(ctx context.Context) (err error) {
	long, err := b.side(ctx, "long", 1_000_000, 95_000)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, long.stop()) }()
	short, err := b.side(ctx, "short", 1_000, 1_000)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, short.stop()) }()
	for _, name := range pageNames {
		ours, base, err := b.views(ctx, long, short, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.compare(name+", ms, 1,000,000 deploys against 1,000", "%.1f", ours, base, 1.2)
	}
	return nil
}

// viewsFor is how long a page is asked for, unless it is slow.
const viewsFor = 20 * time.Second

// views asks for a page of both sides in turn, and returns the milliseconds of
// each answer.
func (b *bench) views(ctx context.Context, long, short *side, name string) (ours, base sample, err error) {
	const warm = 10
	until := time.Now().Add(viewsFor)
	for i := 0; i < warm+30*b.pairs && (i < 2*warm || time.Now().Before(until)); i++ {
		var took [2]float64
		for n, s := range []*side{long, short} {
			began := time.Now()
			if _, err := s.get(ctx, s.pages[name]); err != nil {
				return nil, nil, err
			}
			took[n] = time.Since(began).Seconds() * 1000
		}
		if i >= warm {
			ours, base = append(ours, took[0]), append(base, took[1])
		}
	}
	return ours, base, nil
}

// side starts a portal that has so many deploys, the last two of which brought
// versions of so many files.
func (b *bench) side(ctx context.Context, name string, deploys, files int) (*side, error) {
	data, err := b.fresh(ctx, name)
	if err != nil {
		return nil, err
	}
	p, err := b.serve(ctx, data)
	if err != nil {
		return nil, err
	}
	s := &side{portal: p}
	err = errors.Join(s.fill(ctx, b, files), p.stop())
	if err != nil {
		return nil, err
	}
	if err := s.seed(ctx, deploys); err != nil {
		return nil, err
	}
	s.find(deploys)
	if s.portal, err = b.serve(ctx, data); err != nil {
		return s, err
	}
	return s, s.counted(ctx)
}

// counted waits until the sums for Insights have all deploys.
func (s *side) counted(ctx context.Context) error {
	for {
		page, err := s.page(ctx, s.pages[insights], nil)
		if err != nil || !strings.Contains(string(page), "still to be counted") {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// fill makes two deploys of so many files.
func (s *side) fill(ctx context.Context, b *bench, files int) (err error) {
	f := follower{p: s.portal}
	if err := f.open(); err != nil {
		return err
	}
	defer f.db.Close()
	if s.of, err = s.firstDeployment(ctx); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "files-")
	if err != nil {
		return err
	}
	if err := manyFiles(dir, files); err != nil {
		return err
	}
	for range 2 {
		if err := f.pack(ctx, s.of, dir); err != nil {
			return err
		}
		if err := appendLine(filepath.Join(dir, everChanging), "again = True"); err != nil {
			return err
		}
	}
	return nil
}

// everChanging is the file that every deploy changes. Archives are sorted, so
// that it lies as deep in the frame of its pack on both sides.
const everChanging = "dags/team_005/dag_00500.py"

// manyFiles writes so many small files to dir, 100 to a folder.
func manyFiles(dir string, files int) error {
	for i := range files {
		path := filepath.Join(dir, fmt.Sprintf("dags/team_%03d/dag_%05d.py", i/100, i))
		if i%100 == 0 {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(path, fmt.Appendf(nil, "from airflow import DAG\n\ndag = DAG(%q)\n", filepath.Base(path)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// The pages that are measured.
const (
	history    = "deploy history"
	deepInside = "deploy history, in its middle"
	searched   = "deploy history, a search"
	filtered   = "deploy history, filtered"
	liveThen   = "deploy history, what was live at a time"
	overview   = "Overview"
	insights   = "Insights over a year"
	comparison = "comparison of two versions"
	oneFile    = "history of a file"
)

var pageNames = []string{history, deepInside, searched, filtered, liveThen, comparison, oneFile, overview, insights}

// find says where the pages are.
func (s *side) find(deploys int) {
	at := "/deployments/" + s.of
	s.pages = map[string]string{
		history:    at + "/deploys",
		deepInside: fmt.Sprintf("%s/deploys?before=%d", at, deploys/2),
		searched:   at + "/deploys?" + url.Values{"q": {"change"}}.Encode(),
		filtered:   at + "/deploys?" + url.Values{"q": {"change"}, "kind": {"DAG_ONLY"}, "status": {"deployed"}}.Encode(),
		liveThen:   at + "/deploys?" + url.Values{"live_at": {time.Now().UTC().Add(-10 * time.Minute).Format("2006-01-02T15:04:05")}}.Encode(),
		comparison: at + "/compare?from=1&to=2",
		oneFile:    at + "/history/" + strings.TrimPrefix(everChanging, "dags/"),
		overview:   at,
		insights:   at + "/insights?days=365",
	}
}
