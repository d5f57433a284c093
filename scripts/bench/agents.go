package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	agentCount   = 50
	agentDeploys = 20 // of one changed file
	agentsWithin = 2 * time.Minute
)

// fleet is many agents on this machine, each a process of its own.
type fleet struct {
	dirs []string
	cmds []*exec.Cmd
}

// agents measures how long it takes from confirming a deploy of one changed
// file until each of 50 agents has it, and what that adds to the memory of the
// portal. All of them share this machine, so the project is small: 50 times
// 2,000 files would measure its disk.
func (b *bench) agents(ctx context.Context) (err error) {
	f, err := b.followed(ctx, "agents")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	of, all, err := b.fleet(ctx, f.p)
	defer func() { err = errors.Join(err, all.stop()) }()
	if err != nil {
		return err
	}
	dir, err := b.project(ctx, "small")
	if err != nil {
		return err
	}
	if err := f.pack(ctx, of, dir); err != nil {
		return err
	}
	return b.oneFile(ctx, f, of, dir, all)
}

// oneFile deploys one changed file after the other to a fleet.
func (b *bench) oneFile(ctx context.Context, f *follower, of, dir string, all *fleet) error {
	time.Sleep(5 * time.Second) // what the first deploy took is given back
	before, err := f.p.anonymous()
	if err != nil {
		return err
	}
	peak, stop := f.p.peak()
	var took sample
	for i := range agentDeploys + 1 {
		if _, err := changeOne(dir, i); err != nil {
			return err
		}
		each, err := f.spread(ctx, of, dir, all)
		if err != nil {
			return err
		}
		if i > 0 { // the first is to warm up
			took = append(took, each...)
		}
	}
	stop()
	slices.Sort(took)
	p99 := took[int(math.Ceil(0.99*float64(len(took))))-1]
	b.bound(fmt.Sprintf("confirmed to mounted on %d agents, one of 40 files changed, p99, ms", agentCount), "%.0f", sample{p99}, 1000)
	b.note("the same, all", took.text("%.0f"))
	b.bound("memory that this adds to the portal, peak, MiB", "%.0f", sample{(<-peak - before) / (1 << 20)}, 40)
	return nil
}

// spread deploys the project in dir, and returns for each agent the
// milliseconds from sending the confirmation until current points to it.
func (f *follower) spread(ctx context.Context, of, dir string, all *fleet) (sample, error) {
	archive := dir + ".tar.gz"
	if err := output(exec.CommandContext(ctx, "tar", "-C", dir, "-czf", archive, "dags")); err != nil {
		return nil, err
	}
	n, err := f.p.upload(ctx, of, archive)
	if err != nil {
		return nil, err
	}
	if err := f.until(ctx, of, n, "staged"); err != nil {
		return nil, err
	}
	was := all.targets()
	began := time.Now()
	watched := make(chan sample, 1)
	go func() { watched <- all.follow(was, began) }()
	if err := f.confirm(ctx, of, n); err != nil {
		return nil, err
	}
	took := <-watched
	if len(took) < len(all.dirs) {
		return nil, fmt.Errorf("%d of %d agents followed within %s", len(took), len(all.dirs), agentsWithin)
	}
	return took, f.until(ctx, of, n, "deployed")
}

// fleet adds a Deployment elsewhere, and starts its agents.
func (b *bench) fleet(ctx context.Context, p *portal) (of string, all *fleet, err error) {
	all = &fleet{}
	header, err := p.post(ctx, p.workspace+"/deployments/new", url.Values{"name": {"fleet"}, "where": {"elsewhere"}})
	if err != nil {
		return "", all, err
	}
	of = strings.TrimPrefix(header.Get("Location"), "/deployments/")
	token, err := exec.CommandContext(ctx, b.binary(), "token", "add", "fleet", "--agent", "--deployment", of, "--data", p.data).Output()
	if err != nil {
		return of, all, fmt.Errorf("slipway token add: %w", err)
	}
	for i := range agentCount {
		name := fmt.Sprintf("worker-%d", i)
		dir := filepath.Join(b.dir, "fleet", name)
		cmd := exec.CommandContext(ctx, b.binary(), "agent", "--portal", p.url, "--component", name, "--dags", dir)
		cmd.Env = append(os.Environ(), "SLIPWAY_TOKEN="+strings.TrimSpace(string(token)))
		if err := cmd.Start(); err != nil {
			return of, all, err
		}
		all.dirs, all.cmds = append(all.dirs, dir), append(all.cmds, cmd)
	}
	all.follow(make([]string, agentCount), time.Now()) // until each shows that nothing is deployed yet
	return of, all, nil
}

// targets returns what current points to for each agent.
func (f *fleet) targets() []string {
	all := make([]string, len(f.dirs))
	for i, dir := range f.dirs {
		all[i], _ = os.Readlink(filepath.Join(dir, "current")) // "" before there is one
	}
	return all
}

// follow waits until current points to something else than before for each
// agent, and returns the milliseconds that each took.
func (f *fleet) follow(before []string, began time.Time) (took sample) {
	seen := make([]bool, len(f.dirs))
	for len(took) < len(f.dirs) && time.Since(began) < agentsWithin {
		for i, to := range f.targets() {
			if !seen[i] && to != before[i] {
				seen[i] = true
				took = append(took, time.Since(began).Seconds()*1000)
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
	return took
}

// stop has the agents sign off.
func (f *fleet) stop() (err error) {
	for _, cmd := range f.cmds {
		err = errors.Join(err, cmd.Process.Signal(os.Interrupt))
	}
	for _, cmd := range f.cmds {
		err = errors.Join(err, cmd.Wait())
	}
	return err
}
