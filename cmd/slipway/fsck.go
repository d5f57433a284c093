package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"slipway/internal/backup"
	"slipway/internal/slipway"
)

// fsckCommand looks for damage in a data folder.
type fsckCommand struct {
	dataFlag
	bucketFlag
	JSON bool `help:"Print JSON: a line for each damage, and one with totals at the end."`
}

// Run is the command.
func (f fsckCommand) Run(ctx context.Context, c console) error {
	d, err := f.attach(ctx)
	if err != nil {
		return err
	}
	defer d.Close()
	say, sum := printDamage(c.out), printTotals(c.out)
	if f.JSON {
		lines := json.NewEncoder(c.out)
		say = func(d backup.Damage) { _ = lines.Encode(d) }
		sum = func(t backup.FsckTotals) { _ = lines.Encode(t) }
	}
	bundles, err := f.attachBundles(ctx, d.dir)
	if err != nil {
		return err
	}
	totals, err := backup.Fsck{Store: d.store, Bundles: bundles, Dir: d.dir, Report: say}.Run(ctx)
	if err != nil {
		return err
	}
	sum(totals)
	if totals.Damages > 0 {
		return slipway.Errorf(slipway.Invalid, "The data folder %s is damaged.", f.Data)
	}
	return nil
}

// printDamage returns a function that prints damages as text.
func printDamage(w io.Writer) func(backup.Damage) {
	return func(d backup.Damage) {
		what := d.Path
		if what == "" {
			what = d.Namespace
		}
		fmt.Fprintf(w, "%s: %s\n", what, d.Problem)
		if d.Deployment == "" || d.Leftover {
			return
		}
		switch {
		case len(d.Versions)+len(d.Deploys) == 0:
			fmt.Fprintf(w, "  Deployment %s: no version is affected.\n", d.Deployment)
		default:
			fmt.Fprintf(w, "  Deployment %s: affects %s.\n", d.Deployment, affected(d))
		}
	}
}

// affected lists the versions and waiting deploys of a damage: "the version A and
// the 2 waiting deploys #3, #4".
func affected(d backup.Damage) string {
	var parts []string
	if len(d.Versions) > 0 {
		names := make([]string, len(d.Versions))
		for i, v := range d.Versions {
			names[i] = string(v)
		}
		parts = append(parts, counted(len(names), "version")+" "+strings.Join(names, ", "))
	}
	if len(d.Deploys) > 0 {
		names := make([]string, len(d.Deploys))
		for i, n := range d.Deploys {
			names[i] = fmt.Sprintf("#%d", n)
		}
		parts = append(parts, counted(len(names), "waiting deploy")+" "+strings.Join(names, ", "))
	}
	return strings.Join(parts, " and ")
}

// counted returns a noun with its number: "the version", "the 2 versions".
func counted(n int, what string) string {
	if n == 1 {
		return "the " + what
	}
	return fmt.Sprintf("the %d %ss", n, what)
}

// printTotals returns a function that prints the totals as text.
func printTotals(w io.Writer) func(backup.FsckTotals) {
	return func(t backup.FsckTotals) {
		fmt.Fprintf(w, "Checked %d Deployments, %d versions, %d packs with %d contents (%s): %d damages, %d leftovers.\n",
			t.Deployments, t.Versions, t.Packs, t.Contents, formatBytes(t.Bytes), t.Damages, t.Leftovers)
	}
}
