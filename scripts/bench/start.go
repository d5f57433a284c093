package main

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
)

// start measures how soon a portal answers, and what it takes when nothing
// happens.
func (b *bench) start(ctx context.Context) error {
	data, err := b.fresh(ctx, "start")
	if err != nil {
		return err
	}
	var ready sample
	for i := range b.pairs + 1 {
		p, err := b.serve(ctx, data)
		if err != nil {
			return err
		}
		ready = append(ready, float64(p.ready)/float64(time.Millisecond))
		if i == b.pairs {
			err = b.idle(ctx, p)
		}
		if err := errors.Join(err, p.stop()); err != nil {
			return err
		}
	}
	b.bound("ready after start, ms", "%.0f", ready[1:], 200)
	return nil
}

// idle measures the memory of a portal at which somebody has signed in and
// looked at a page. What that took, Go gives back in the second collection after
// it, and when nothing happens it collects every two minutes.
func (b *bench) idle(ctx context.Context, p *portal) error {
	if _, err := p.get(ctx, p.workspace); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(270 * time.Second):
	}
	n, err := p.anonymous()
	b.bound("idle process, anonymous resident memory, MB", "%.1f", sample{n / 1e6}, 30)
	return err
}

// assets measures the first view of pages with all that they load, by a
// browser that has nothing of it yet.
func (b *bench) assets(ctx context.Context) (err error) {
	p, err := b.portal(ctx, "assets")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	of, err := p.firstDeployment(ctx)
	if err != nil {
		return err
	}
	for _, page := range []struct{ name, path string }{
		{"list of Deployments", p.workspace}, {"Deployment with its upload form", "/deployments/" + of},
	} {
		n, err := p.view(ctx, page.path)
		if err != nil {
			return err
		}
		b.bound("first view, compressed, all assets, kB: "+page.name, "%.0f", sample{float64(n) / 1000}, 100)
	}
	return nil
}

var loads = regexp.MustCompile(`(?:src|href)="(/static/[^"#]+)`)

// view returns the bytes of a page and of all that it loads, as they are sent.
func (p *portal) view(ctx context.Context, path string) (n int, err error) {
	page, err := p.page(ctx, path, nil) // to be read; the client unpacks it
	if err != nil {
		return 0, err
	}
	all := []string{path}
	for _, found := range loads.FindAllStringSubmatch(string(page), -1) {
		all = append(all, strings.ReplaceAll(found[1], "&amp;", "&"))
	}
	slices.Sort(all)
	for _, each := range slices.Compact(all) {
		size, err := p.get(ctx, each)
		if err != nil {
			return 0, err
		}
		n += size
	}
	return n, nil
}
