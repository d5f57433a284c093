package deploy_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"slipway/internal/archive"
	"slipway/internal/bundle"
	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/store/storetest"
)

func TestBrokenConnectionResumesAtTheOffset(t *testing.T) {
	a := running(t)
	b := storetest.Archive(t, map[string]string{"a.py": dag("a")})
	u, w, err := a.Engine.BeginUpload(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{Length: int64(len(b)), Name: "dags.tar.gz", Merge: slipway.ReplaceAll})
	if err != nil || w.Status != slipway.Initialized || w.Version == "" || w.Upload != "dags.tar.gz" {
		t.Fatalf("%+v, %v", w, err)
	}
	broken := io.MultiReader(bytes.NewReader(b[:40]), iotest.ErrReader(errors.New("connection reset")))
	if _, at, err := a.Engine.Append(t.Context(), u.ID, a.Eve, 0, broken, -1); err == nil || at != 40 {
		t.Fatalf("append came to %d, %v, want 40 and an error", at, err)
	}
	_, _, err = a.Engine.Append(t.Context(), u.ID, a.Eve, 0, bytes.NewReader(b), -1)
	wantKind(t, err, slipway.Conflict, "at byte 40, not at 0")
	_, _, _, err = a.Engine.Upload(t.Context(), u.ID, a.Ada)
	wantKind(t, err, slipway.NotFound, "")
	_, _, at, err := a.Engine.Upload(t.Context(), u.ID, a.Eve)
	if err != nil || at != 40 {
		t.Fatalf("offset %d, %v", at, err)
	}
	if _, at, err = a.Engine.Append(t.Context(), u.ID, a.Eve, at, bytes.NewReader(b[at:60]), -1); err != nil || at != 60 {
		t.Fatalf("append came to %d, %v", at, err)
	}
	if w, at, err = a.Engine.Append(t.Context(), u.ID, a.Eve, at, bytes.NewReader(b[at:]), -1); err != nil || at != int64(len(b)) {
		t.Fatalf("append came to %d, %v", at, err)
	}
	w = a.Await(t, w.Number, slipway.Staged)
	if w.Resumes != 1 || w.Bytes != int64(len(b)) || w.UploadedAt.IsZero() {
		t.Errorf("%+v, want one resume and %d bytes", w, len(b))
	}
}

func TestOneRequestAtATimePerUpload(t *testing.T) {
	a := running(t)
	u, _, err := a.Engine.BeginUpload(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{Length: 100, Name: "x", Merge: slipway.ReplaceAll})
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	first := make(chan error, 1)
	go func() {
		_, _, err := a.Engine.Append(t.Context(), u.ID, a.Eve, 0, r, -1)
		first <- err
	}()
	if _, err := w.Write([]byte("0123456789")); err != nil { // it reads: it has the upload
		t.Fatal(err)
	}
	_, _, err = a.Engine.Append(t.Context(), u.ID, a.Eve, 10, bytes.NewReader(nil), -1)
	wantKind(t, err, slipway.Conflict, "another request")
	if err := errors.Join(w.Close(), <-first); err != nil {
		t.Error(err)
	}
}

func TestUploadsThatAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*deploy.Config)
		n      deploy.NewUpload
		body   string
		kind   slipway.Kind
		want   string
		failed bool // a deploy is left, as failed
	}{
		"empty":        {n: deploy.NewUpload{Length: 0}, kind: slipway.Invalid, want: "The file dags.zip is empty."},
		"empty form":   {n: deploy.NewUpload{Length: -1}, kind: slipway.Invalid, want: "The file dags.zip is empty.", failed: true},
		"large":        {n: deploy.NewUpload{Length: 3 << 30}, kind: slipway.TooLarge, want: "at most 2048 MiB"},
		"large form":   {change: func(c *deploy.Config) { c.Limits.Archive = 4 }, n: deploy.NewUpload{Length: -1}, body: "12345", kind: slipway.TooLarge, want: "at most", failed: true},
		"too long":     {n: deploy.NewUpload{Length: 3}, body: "1234", kind: slipway.TooLarge, want: "longer than the 3 bytes", failed: true},
		"too short":    {n: deploy.NewUpload{Length: 3}, body: "12", kind: slipway.Invalid, want: "after 2 of 3 bytes", failed: true},
		"no space":     {change: func(c *deploy.Config) { c.Reserve = 1 << 60 }, n: deploy.NewUpload{Length: 3}, kind: slipway.NoSpace, want: "nearly full"},
		"no meaning":   {n: deploy.NewUpload{Length: 3, Merge: "mix"}, kind: slipway.Invalid, want: "replace everything"},
		"control sign": {n: deploy.NewUpload{Length: 3, Description: "a\x00b"}, kind: slipway.Invalid, want: "only text"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t, func(c *deploy.Config) {
				if tt.change != nil {
					tt.change(c)
				}
			})
			tt.n.Name = "dags.zip"
			if tt.n.Merge == "" {
				tt.n.Merge = slipway.ReplaceAll
			}
			_, err := a.Engine.Receive(t.Context(), a.Sales.ID, a.Eve, tt.n, bytes.NewReader([]byte(tt.body)))
			wantKind(t, err, tt.kind, tt.want)
			if got := a.uploads(t); len(got) != 0 {
				t.Errorf("left %v", got)
			}
			storetest.View(t, a.Store, func(tx *store.Tx) error {
				w, found, err := tx.LastDeploy(a.Sales.ID)
				if found != tt.failed || found && (w.Status != slipway.Failed || w.Reason == "") {
					t.Errorf("last deploy %+v, %v", w, found)
				}
				return err
			})
		})
	}
}

func TestWhoMayUpload(t *testing.T) {
	a := newApp(t)
	n := deploy.NewUpload{Length: 3, Name: "x", Merge: slipway.AddFiles}
	for _, tt := range []struct {
		by   slipway.Actor
		kind slipway.Kind
	}{{a.Mia, slipway.Forbidden}, {a.Sam, slipway.NotFound}, {slipway.Actor{}, slipway.NotFound}} {
		_, _, err := a.Engine.BeginUpload(t.Context(), a.Sales.ID, tt.by, n)
		wantKind(t, err, tt.kind, "")
	}
}

func TestDemotedWhileUploading(t *testing.T) {
	a := running(t)
	b := storetest.Archive(t, map[string]string{"a.py": dag("a")})
	u, w, err := a.Engine.BeginUpload(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{Length: int64(len(b)), Name: "x", Merge: slipway.ReplaceAll})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Engine.Append(t.Context(), u.ID, a.Eve, 0, bytes.NewReader(b[:10]), -1); err != nil {
		t.Fatal(err)
	}
	storetest.Update(t, a.Store, func(tx *store.Tx) error {
		return tx.SetRole(a.Workspace.ID, a.Eve.User, slipway.Member)
	})
	_, _, err = a.Engine.Append(t.Context(), u.ID, a.Eve, 10, bytes.NewReader(b[10:]), -1)
	wantKind(t, err, slipway.Forbidden, "Author role")
	if w = a.Await(t, w.Number, slipway.Failed); w.Reason == "" {
		t.Errorf("%+v, want a reason", w)
	}
	a.Eventually(t, "the upload is gone", func() bool { return len(a.uploads(t)) == 0 })
}

// The role is judged again when the upload is staged: nothing runs until then.
func TestRemovedBeforeStaging(t *testing.T) {
	a := newApp(t)
	w := a.Upload(t, a.Eve, slipway.ReplaceAll, storetest.Archive(t, map[string]string{"a.py": dag("a")}))
	storetest.Update(t, a.Store, func(tx *store.Tx) error { return tx.RemoveMember(a.Workspace.ID, a.Eve.User) })
	a.Run(t)
	w = a.Await(t, w.Number, slipway.Failed)
	if w.Reason != "Eve Author no longer has access to this Deployment." {
		t.Errorf("reason %q", w.Reason)
	}
	a.Eventually(t, "no pack and no upload is left", func() bool { return len(a.Packs(t))+len(a.uploads(t)) == 0 })
}

func TestNeverConfirmed(t *testing.T) {
	a := running(t)
	staged := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{"a.py": dag("a")})
	u, begun, err := a.Engine.BeginUpload(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{Length: 9, Name: "x", Merge: slipway.AddFiles})
	if err != nil {
		t.Fatal(err)
	}
	a.Stop()
	now := time.Now()
	a.Store.Now = func() time.Time { return now.Add(slipway.UnfinishedLife - time.Minute) }
	if _, _, err := a.Engine.Append(t.Context(), u.ID, a.Eve, 0, bytes.NewReader([]byte("12345")), -1); err != nil {
		t.Fatal(err)
	}
	a.Build(t)
	if got := a.Load(t, staged.Number).Status; got != slipway.Staged {
		t.Fatalf("after 23:59 h it is %s", got)
	}
	a.Store.Now = func() time.Time { return now.Add(slipway.UnfinishedLife + time.Minute) }
	a.Build(t)
	if w := a.Load(t, staged.Number); w.Status != slipway.Failed || w.Reason != "Never confirmed within 24 hours. Upload the files again." {
		t.Errorf("staged one: %+v", w)
	}
	if w := a.Load(t, begun.Number); w.Status != slipway.Initialized {
		t.Errorf("one whose last byte came later: %+v", w)
	}
	a.Run(t)
	a.Eventually(t, "its pack is gone", func() bool { return len(a.Packs(t)) == 0 })
}

// A limit of the archive's content is told like any other refusal.
func TestLimitsOfTheContent(t *testing.T) {
	a := running(t, func(c *deploy.Config) {
		c.Limits = archive.Limits{Archive: 1 << 20, Unpacked: 1 << 20, Files: 3, Path: 100, Name: 50}
	})
	w := a.Upload(t, a.Eve, slipway.ReplaceAll, storetest.Archive(t, map[string]string{"a.py": "1", "b.py": "2", "c.py": "3", "d.py": "4"}))
	if w = a.Await(t, w.Number, slipway.Failed); w.Reason != "There are more than 3 files and folders. Leave out what Airflow does not need, or ask an administrator for a higher --max-files." {
		t.Errorf("reason %q", w.Reason)
	}
}

// upload's row must not outlive its file, nor the other way round.
func TestUploadsAfterACrash(t *testing.T) {
	a := newApp(t)
	b := storetest.Archive(t, map[string]string{"a.py": dag("a")})
	begin := func(length int) (store.Upload, slipway.Deploy) {
		u, w, err := a.Engine.BeginUpload(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{Length: int64(length), Name: "x", Merge: slipway.ReplaceAll})
		if err != nil {
			t.Fatal(err)
		}
		return u, w
	}
	write := func(name string, b []byte) {
		if err := os.WriteFile(filepath.Join(a.Dir, "uploads", name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	complete, completeDeploy := begin(len(b)) // the last byte came, its record did not
	write(complete.ID, b)
	part, _ := begin(len(b))
	write(part.ID, b[:7])
	lost, _ := begin(len(b)) // the folder's entry was not durable
	if err := os.Remove(filepath.Join(a.Dir, "uploads", lost.ID)); err != nil {
		t.Fatal(err)
	}
	_, form := begin(-1) // the connection cannot come again
	gone := a.Upload(t, a.Eve, slipway.ReplaceAll, b)
	storetest.View(t, a.Store, func(tx *store.Tx) error {
		u, _, err := tx.UploadOf(gone.ID)
		return errors.Join(err, os.Remove(filepath.Join(a.Dir, "uploads", u.ID)))
	})
	write("stray", b)
	a.Build(t)
	a.Run(t)
	a.Await(t, completeDeploy.Number, slipway.Staged)
	for u, want := range map[store.Upload]int64{part: 7, lost: 0} {
		if _, _, at, err := a.Engine.Upload(t.Context(), u.ID, a.Eve); err != nil || at != want {
			t.Errorf("offset %d, %v, want %d", at, err, want)
		}
	}
	for n, want := range map[int]string{form.Number: "The upload broke off. Upload the files again.", gone.Number: "The uploaded file was lost. Upload the files again."} {
		if w := a.Load(t, n); w.Status != slipway.Failed || w.Reason != want {
			t.Errorf("#%d is %s: %q, want %q", n, w.Status, w.Reason, want)
		}
	}
	a.Eventually(t, "two uploads are left", func() bool { return len(a.uploads(t)) == 2 })
}

func TestFolderOfLooseFiles(t *testing.T) {
	a := running(t)
	b := storetest.Archive(t, map[string]string{"x.py": dag("x")})
	begin := func(folder string) error {
		_, err := a.Engine.Receive(t.Context(), a.Sales.ID, a.Eve, deploy.NewUpload{Length: -1, Name: "x.py", Merge: slipway.AddFiles, Folder: folder}, bytes.NewReader(b))
		return err
	}
	for _, folder := range []string{"../up", "a/../../b", ".."} {
		wantKind(t, begin(folder), slipway.Invalid, "")
	}
	for i, folder := range []string{"/team/sales/", "dags/team_a", `dags\team_b\sql`, "gro\u0308\u00dfe"} {
		if err := begin(folder); err != nil {
			t.Fatal(err)
		}
		w := a.Await(t, i+1, slipway.Staged)
		a.Confirm(t, w.Number, a.Eve)
		a.Await(t, w.Number, slipway.Deployed)
	}
	a.WantMounted(t, map[string]string{"team/sales/x.py": dag("x"), "team_a/x.py": dag("x"), "team_b/sql/x.py": dag("x"), "gr\u00f6\u00dfe/x.py": dag("x")})
}

// tarWith packs one file with a mode.
func tarWith(t *testing.T, name, text string, mode int64) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(text))})
	_, err2 := io.WriteString(w, text)
	if err := errors.Join(err, err2, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A browser, and a zip from Windows, do not know which files are executable.
func TestUploadsWithoutModesKeepThem(t *testing.T) {
	a := running(t)
	for i, tt := range []struct {
		merge slipway.Merge
		text  string
		mode  int64
		exec  bool
	}{
		{slipway.ReplaceAll, "1 airflow dag", 0o755, true},
		{slipway.AddFiles, "2 airflow dag", 0, true},
		{slipway.ReplaceAll, "3 airflow dag", 0, true},
		{slipway.ReplaceAll, "4 airflow dag", 0o644, false},
		{slipway.AddFiles, "5 airflow dag", 0, false},
	} {
		w := a.Upload(t, a.Eve, tt.merge, tarWith(t, "dags/run.py", tt.text, tt.mode))
		w = a.Await(t, w.Number, slipway.Staged)
		a.Confirm(t, w.Number, a.Eve)
		a.Await(t, w.Number, slipway.Deployed)
		a.WantMounted(t, map[string]string{"run.py": tt.text})
		info, err := os.Stat(filepath.Join(a.Engine.MountDir(a.Sales), "current", "dags", "run.py"))
		if err != nil || info.Mode()&0o111 != 0 != tt.exec {
			t.Errorf("deploy %d: %v, %v, want executable: %t", i+1, info.Mode(), err, tt.exec)
		}
	}
}

func TestUploadsReplaceNamesOfAnotherForm(t *testing.T) {
	a := running(t)
	a.Deployed(t, slipway.ReplaceAll, map[string]string{"gro\u0308\u00dfe.py": dag("old"), "b.py": dag("b")})
	a.WantMounted(t, map[string]string{"gr\u00f6\u00dfe.py": dag("old"), "b.py": dag("b")})
	a.Deployed(t, slipway.AddFiles, map[string]string{"gr\u00f6\u00dfe.py": dag("new")})
	a.WantMounted(t, map[string]string{"gr\u00f6\u00dfe.py": dag("new"), "b.py": dag("b")})
}

// A version of a release that did not compose names: nothing is removed and added where
// only the form of a name differs, before a deploy, after it, and at a return.
func TestDeploysOnNamesOfAnotherForm(t *testing.T) {
	a := running(t)
	composed, other := "gr\u00f6\u00dfe.py", "gro\u0308\u00dfe.py"
	one := a.Deployed(t, slipway.ReplaceAll, map[string]string{composed: dag("g"), "b.py": dag("b")})
	a.Stop()
	rewriteManifest(t, a.Manifest(one.Version), func(m *slipway.Manifest) {
		for i := range m.Files {
			m.Files[i].Path = strings.ReplaceAll(m.Files[i].Path, composed, other)
		}
		slipway.SortFiles(m.Files)
	})
	a.Build(t)
	a.Run(t)

	want := func(what string, p slipway.Plan, err error, changes string) {
		t.Helper()
		var got []string
		for _, c := range p.Changes {
			got = append(got, string(c.Op)+" "+c.Path)
		}
		if err != nil || strings.Join(got, ", ") != changes {
			t.Errorf("%s: %q, %v, want %q", what, got, err, changes)
		}
	}
	w := a.Staged(t, a.Eve, slipway.ReplaceAll, map[string]string{composed: dag("g"), "b.py": dag("b2")})
	r, err := a.Engine.Review(t.Context(), a.Sales.ID, w.Number, a.Eve)
	want("staged", r.Plan, err, "changed b.py")
	a.Confirm(t, w.Number, a.Eve)
	two := a.Await(t, w.Number, slipway.Deployed)
	r, err = a.Engine.Done(t.Context(), a.Sales.ID, w.Number, a.Eve)
	want("done", r.Plan, err, "changed b.py")
	r, err = a.Engine.ReviewReturn(t.Context(), a.Sales.ID, one.Number, a.Eve)
	want("return", r.Plan, err, "changed b.py")
	back := a.Await(t, a.Return(t, one.Number), slipway.Deployed)
	r, err = a.Engine.Done(t.Context(), a.Sales.ID, back.Number, a.Eve)
	want("returned", r.Plan, err, "changed b.py")
	if two.Counts.Changed != 1 || two.Counts.Added+two.Counts.Removed+back.Counts.Added+back.Counts.Removed != 0 {
		t.Errorf("counts %+v and %+v", two.Counts, back.Counts)
	}
	for _, pair := range [][2]slipway.Version{{one.Version, two.Version}, {two.Version, one.Version}} {
		c, err := a.Engine.Compare(t.Context(), a.Sales, pair[0], pair[1])
		want("compared", slipway.Plan{Changes: c.Changes}, err, "changed b.py")
	}
	f, found, err := a.Engine.File(t.Context(), a.Sales, one.Version, composed)
	if err != nil || !found || f.Path != composed {
		t.Errorf("the file of the version: %+v, %t, %v", f, found, err)
	}
}

// rewriteManifest changes a stored manifest.
func rewriteManifest(t *testing.T, path string, change func(*slipway.Manifest)) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := bundle.ReadManifest(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	change(&m)
	var packed bytes.Buffer
	if err := bundle.WriteManifest(&packed, m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
