package deploy_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

// base returns what a fix of the file at path is made from.
func (a *app) base(t *testing.T, path string) string {
	t.Helper()
	f, err := a.Engine.Fixable(t.Context(), a.Sales.ID, path, a.Eve)
	if err != nil {
		t.Fatal(err)
	}
	return f.File.SHA256
}

func section(text string) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(text), 0, int64(len(text)))
}

func TestFix(t *testing.T) {
	for name, tt := range map[string]struct {
		fix  deploy.NewFix
		want string
	}{
		"text":       {deploy.NewFix{Path: "a.py", Text: dag("b")}, dag("b")},
		"CRLF":       {deploy.NewFix{Path: "crlf.py", Text: "x\r\ny\r\n"}, "x\r\ny\r\n"},
		"LF":         {deploy.NewFix{Path: "sub/b.py", Text: "x\r\ny"}, "x\ny\n"},
		"executable": {deploy.NewFix{Path: "run.sh", Text: "#!/bin/sh\r\nls"}, "#!/bin/sh\nls"},
		"a file":     {deploy.NewFix{Path: "logo.bin", Content: section("\x00\x02")}, "\x00\x02"},
		"dags/dags":  {deploy.NewFix{Path: "dags/a.py", Text: dag("deep")}, dag("deep")},
	} {
		t.Run(name, func(t *testing.T) {
			a := running(t)
			files := map[string]string{
				"a.py": dag("a"), "crlf.py": "a\r\n", "sub/b.py": "b\n", "run.sh": "#!/bin/sh", "logo.bin": "\x00\x01", "dags/a.py": dag("d"),
			}
			a.Deployed(t, slipway.ReplaceAll, archived(files))
			tt.fix.Base, tt.fix.Description = a.base(t, tt.fix.Path), "Why"

			w, err := a.Engine.Fix(t.Context(), a.Sales.ID, a.Eve, tt.fix)
			if err != nil {
				t.Fatal(err)
			}
			w = a.Await(t, w.Number, slipway.Staged)
			if w.Fix != tt.fix.Path || w.Upload != "one-file fix of dags/"+tt.fix.Path || w.Merge != slipway.AddFiles || w.Description != "Why" || w.Counts.Changed != 1 || w.Counts.Added+w.Counts.Removed != 0 {
				t.Errorf("deploy %+v", w)
			}
			a.Confirm(t, w.Number, a.Eve)
			a.Await(t, w.Number, slipway.Deployed)
			files[tt.fix.Path] = tt.want
			a.WantMounted(t, files)
			info, err := os.Stat(filepath.Join(a.Engine.MountDir(a.Sales), "current", "dags", "run.sh"))
			if err != nil || info.Mode().Perm() != 0o555 {
				t.Errorf("run.sh is %v, %v", info.Mode(), err)
			}
		})
	}
}

// archived puts files into a dags folder, so that a folder dags among them is
// not taken for it.
func archived(files map[string]string) map[string]string {
	all := map[string]string{}
	for name, text := range files {
		all["dags/"+name] = text
	}
	return all
}

func TestFixIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		by     func(*app) slipway.Actor
		change func(*slipway.Deployment)
		fix    deploy.NewFix
		kind   slipway.Kind
		want   string
	}{
		"a Member":      {by: func(a *app) slipway.Actor { return a.Mia }, kind: slipway.Forbidden, want: "needs the Author role"},
		"a stranger":    {by: func(a *app) slipway.Actor { return a.Sam }, kind: slipway.NotFound, want: "There is no Deployment"},
		"CI/CD":         {change: func(d *slipway.Deployment) { d.CICDEnforced = true }, kind: slipway.Forbidden, want: "CI/CD is enforced"},
		"unchanged":     {fix: deploy.NewFix{Text: "from airflow import DAG  # a\r\n"}, kind: slipway.Invalid, want: "dags/a.py is as it was"},
		"no newline":    {fix: deploy.NewFix{Text: "from airflow import DAG  # a"}, kind: slipway.Invalid, want: "dags/a.py is as it was"},
		"empty":         {fix: deploy.NewFix{Text: ""}, kind: slipway.Invalid, want: "The text is empty."},
		"an empty file": {fix: deploy.NewFix{Content: section("")}, kind: slipway.Invalid, want: "The file is empty."},
		"the same file": {fix: deploy.NewFix{Content: section(dag("a"))}, kind: slipway.Invalid, want: "dags/a.py is as it was"},
		"other base":    {fix: deploy.NewFix{Text: "x", Base: strings.Repeat("0", 64)}, kind: slipway.Conflict, want: "changed while you were at it"},
		"a link":        {fix: deploy.NewFix{Path: "link", Text: "x"}, kind: slipway.Invalid, want: "A link has no content"},
		"not text":      {fix: deploy.NewFix{Path: "logo.bin", Text: "x"}, kind: slipway.Invalid, want: "not text"},
		"above dags":    {fix: deploy.NewFix{Path: "../x.py", Text: "x"}, kind: slipway.Invalid, want: ".."},
		"a long word":   {fix: deploy.NewFix{Text: "x", Description: strings.Repeat("x", 1001)}, kind: slipway.Invalid, want: "A description may have"},
	} {
		t.Run(name, func(t *testing.T) {
			a := running(t)
			a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a"), "link": "-> a.py", "logo.bin": "\x00"})
			if tt.change != nil {
				storetest.Update(t, a.Store, func(tx *store.Tx) error {
					d, err := tx.LoadDeployment(a.Sales.ID)
					tt.change(&d)
					return errors.Join(err, tx.SaveSettings(d))
				})
			}
			by := a.Eve
			if tt.by != nil {
				by = tt.by(a)
			}
			if tt.fix.Path == "" {
				tt.fix.Path = "a.py"
			}
			if tt.fix.Base == "" {
				tt.fix.Base = a.base(t, tt.fix.Path)
			}

			_, err := a.Engine.Fix(t.Context(), a.Sales.ID, by, tt.fix)

			wantKind(t, err, tt.kind, tt.want)
			if w, found := a.last(t); found && w.Number > 1 {
				t.Errorf("it left deploy %+v", w)
			}
		})
	}
}

func (a *app) last(t *testing.T) (w slipway.Deploy, found bool) {
	t.Helper()
	storetest.View(t, a.Store, func(tx *store.Tx) (err error) {
		w, found, err = tx.LastDeploy(a.Sales.ID)
		return err
	})
	return w, found
}

// A fix is of the file as it will be once all that is queued is live.
func TestFixOfWhatIsQueued(t *testing.T) {
	a := newApp(t) // nothing goes live by itself
	a.Run(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"a.py": dag("a"), "b.py": dag("b")})
	before := a.base(t, "a.py")
	w := a.Staged(t, a.Ada, slipway.AddFiles, map[string]string{"a.py": dag("by Ada")})
	a.Stop()
	a.Build(t)
	a.Confirm(t, w.Number, a.Ada)

	_, err := a.Engine.Fix(t.Context(), a.Sales.ID, a.Eve, deploy.NewFix{Path: "a.py", Base: before, Text: dag("by Eve")})
	if !errors.Is(err, deploy.ErrFileChanged) {
		t.Fatalf("Fix: %v, want ErrFileChanged", err)
	}
	f, err := a.Engine.Fixable(t.Context(), a.Sales.ID, "a.py", a.Eve)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := a.Engine.FixText(t.Context(), f); err != nil || text != dag("by Ada") {
		t.Errorf("FixText: %q, %v", text, err)
	}
	diff, err := a.Engine.DiffContents(t.Context(), f.Deployment, "a.py", before, f.File.SHA256, slipway.Look{})
	if err != nil || diff.Added != 1 || diff.Removed != 1 {
		t.Errorf("DiffContents: %+v, %v", diff, err)
	}
	if f, err := a.Engine.Fixable(t.Context(), a.Sales.ID, "nowhere.py", a.Eve); err != nil || f.File.Path != "" {
		t.Errorf("Fixable: %+v, %v", f, err)
	}
}
