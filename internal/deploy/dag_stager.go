package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"slipway/internal/archive"
	"slipway/internal/bundle"
	"slipway/internal/slipway"
	"slipway/store"
)

// dagStager unpacks DAG archives into packs.
type dagStager struct {
	*base
	contents    *contents
	deletions   *deletions
	uploadFiles *uploadFiles
}

// stageDAGs reads the upload u of w, stores the new contents and records the
// files.
func (a *dagStager) stageDAGs(ctx context.Context, d slipway.Deployment, w slipway.Deploy, u store.Upload) error {
	search, err := a.search(ctx, w, u)
	if err != nil {
		return err
	}
	staged, err := a.unpack(ctx, d, u, search)
	if err != nil {
		return err
	}
	if w.Root != nil { // chosen from what was found before
		staged.Root = *w.Root
	}
	rep := report(staged) // before the files get other paths
	files, err := prefixed(staged.Files, w.Folder, a.cfg.Limits)
	if len(files) == 0 && w.Merge == slipway.AddFiles {
		err = slipway.Errorf(slipway.Invalid, "The archive holds no file to deploy. To remove all files, replace everything.")
	}
	if err == nil {
		err = a.record(ctx, w, u, staged, rep, files)
	}
	if err != nil && staged.Pack.SHA256 != "" {
		err = errors.Join(err, a.dropUnrecorded(context.WithoutCancel(ctx), d, staged.Pack.SHA256))
	}
	if err == nil && len(staged.Root.Others) == 0 {
		a.uploadFiles.removeUpload(u.ID)
	}
	if err == nil {
		a.watchers.changed(d.ID, w.ID)
	}
	return err
}

// search says how the root of the upload u of w is found: as chosen on the page, as
// named by the sender, or by the files and the present folders of dags.
func (a *dagStager) search(ctx context.Context, w slipway.Deploy, u store.Upload) (s archive.Search, err error) {
	s = archive.Search{Root: u.Root, Add: w.Merge == slipway.AddFiles, Folder: w.Folder}
	if w.Root != nil {
		s.Root, s.Inside = slipway.RootChoice{Path: w.Root.Path}.Name(), w.Root.Inside
	}
	if s.Root != "" {
		return s, nil
	}
	var b queueState
	err = a.store.View(ctx, func(tx *store.Tx) (err error) {
		b, err = makersQueue(tx, w)
		return err
	})
	if err != nil {
		return s, err
	}
	files, err := a.contents.projectedFiles(b)
	known := map[string]bool{}
	for _, f := range files {
		if rest, ok := strings.CutPrefix("/"+f.Path, strings.TrimSuffix("/"+w.Folder, "/")+"/"); ok {
			top, _, _ := strings.Cut(rest, "/")
			known[top] = true
		}
	}
	s.Known = func(folder string) bool { return known[folder] }
	return s, err
}

// ChooseRoot stages a deploy again, with another folder of the archive as the root.
func (a *dagStager) ChooseRoot(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, root string) (w slipway.Deploy, err error) {
	err = a.store.Update(ctx, func(tx *store.Tx) error {
		d, role, err := tx.Projected(of, by)
		if err != nil {
			return err
		}
		if w, err = tx.Deploy(of, number); err != nil {
			return err
		}
		if w, err = w.ChooseRoot(role, by, root); err != nil {
			return err
		}
		if _, found, err := tx.UploadOf(w.ID); err != nil || !found {
			return errors.Join(err, slipway.Errorf(slipway.Conflict, "The archive of deploy #%d is gone. Upload it again.", number))
		}
		w.StagedAt = time.Time{}
		if w, err = tx.SaveDeploy(w); err != nil {
			return err
		}
		return audit(tx, by, d, "deploy.root", w)
	})
	if err != nil {
		return slipway.Deploy{}, err
	}
	a.wakers.wakeStage(of)
	a.watchers.changed(of, w.ID)
	return w, nil
}

// ChooseLanding sends the names of the upload beside name to another folder, one of
// those found.
func (a *dagStager) ChooseLanding(ctx context.Context, of slipway.DeploymentID, number int, by slipway.Actor, name, folder string) (w slipway.Deploy, err error) {
	s, stored, staged, err := readStaged(ctx, a.store, of, number, by)
	if err != nil {
		return w, err
	}
	places := a.contents.relanded(s, stored, staged).Landing
	err = a.store.Update(ctx, func(tx *store.Tx) error {
		d, role, err := tx.Projected(of, by)
		if err != nil {
			return err
		}
		if w, err = tx.Deploy(of, number); err != nil {
			return err
		}
		if w.ReviewTag() != stored.ReviewTag() {
			return slipway.ErrReviewChanged
		}
		w.Landing = places
		if w, err = w.Land(role, by, name, folder); err != nil {
			return err
		}
		if w, err = tx.SaveDeploy(w); err != nil {
			return err
		}
		return audit(tx, by, d, "deploy.landing", w)
	})
	if err == nil {
		a.watchers.changed(of, w.ID)
	}
	return w, err
}

// unpack stores the contents of an upload that are in no pack yet.
func (a *dagStager) unpack(ctx context.Context, d slipway.Deployment, u store.Upload, search archive.Search) (staged bundle.Staged, err error) {
	if err := a.uploadFiles.Fits(0); err != nil {
		return staged, err
	}
	f, err := os.Open(a.uploadFiles.uploadPath(u.ID))
	if err != nil {
		return staged, fmt.Errorf("open upload: %w", err)
	}
	defer f.Close()
	return a.stageArchive(ctx, d, f, search)
}

// stageArchive stores the contents of an archive that are in no pack yet. The
// archive is an upload, or switchStager's tar of the DAGs of an image.
func (a *dagStager) stageArchive(ctx context.Context, d slipway.Deployment, f *os.File, search archive.Search) (staged bundle.Staged, err error) {
	info, err := f.Stat()
	if err != nil {
		return staged, fmt.Errorf("open archive: %w", err)
	}
	err = a.store.View(ctx, func(tx *store.Tx) (err error) {
		known := func(string) (p slipway.Place, stored bool) { return p, false }
		stored, err := tx.HasContents(d.ID)
		if err != nil {
			return err
		}
		if stored {
			contents, err2 := tx.Contents(d.ID)
			if err2 != nil {
				return err2
			}
			defer func() { err = errors.Join(err, contents.Close()) }()
			known = contents.Place
		}
		lim := a.cfg.Limits
		lim.Reserve, lim.Disk = a.cfg.Reserve, a.uploadFiles
		staged, err = a.bundles.Stage(ctx, d.Namespace, f, info.Size(), lim, search, known)
		return err
	})
	return staged, err
}

// prefixed returns files with paths below folder.
func prefixed(files []slipway.File, folder string, lim archive.Limits) ([]slipway.File, error) {
	if folder == "" {
		return files, nil
	}
	for i := range files {
		files[i].Path = path.Join(folder, files[i].Path)
	}
	return files, archive.CheckVersion(files, lim)
}

// record records the files of w and ends the upload.
func (a *dagStager) record(ctx context.Context, w slipway.Deploy, u store.Upload, staged bundle.Staged, rep store.Report, files []slipway.File) error {
	encoded, err := encodeStaged(w, files)
	if err != nil {
		return err
	}
	var base queueState
	err = a.store.View(ctx, func(tx *store.Tx) (err error) {
		base, err = makersQueue(tx, w)
		return err
	})
	if err != nil {
		return err
	}
	a.contents.files.put(stagedKey(w.ID, encoded), files, len(files))
	before, err := a.contents.projectedFiles(base)
	if err != nil {
		return err
	}
	before = archive.Composed(before)
	landings := w.FindLandings(before, files)
	if w.Landing = nil; w.By.Via == slipway.Portal && len(landings) > 0 {
		w.Landing = &landings
	}
	if base.projected.Bundles(w) {
		before = files
	}
	counts := slipway.NewPlan(before, merged(w, before, files)).Counts
	counts.NewBytes, counts.LeftOut, counts.Outside = staged.Pack.Size, staged.LeftOutFiles, len(staged.Outside)
	return a.store.Update(ctx, func(tx *store.Tx) error {
		now, err := stillOpen(tx, w)
		if err != nil {
			return err
		}
		if err := addPacks(tx, now, staged, files); err != nil {
			return err
		}
		if err := tx.SetStaged(w.ID, encoded, rep); err != nil {
			return err
		}
		now.Counts, now.Base, now.WantsDAG = counts, base.projected.Version, false
		if now.Purpose() == slipway.ForSwitch {
			now.UploadedAt = tx.Now
		}
		if now.Root, now.Landing = &staged.Root, w.Landing; now.Landing == nil {
			now.Note = slipway.LandingNote(now, landings)
		}
		if now, err = tx.SaveDeploy(now.Checked()); err == nil {
			err = a.uploadFiles.hold(tx, now)
		}
		if err != nil || u.ID == "" || len(staged.Root.Others) > 0 {
			return err // an upload with a choice stays until the deploy is confirmed or ends
		}
		return tx.DropUpload(u.ID)
	})
}

// addPacks records the new pack and claims all packs of the files.
func addPacks(tx *store.Tx, w slipway.Deploy, staged bundle.Staged, files []slipway.File) error {
	if staged.Pack.SHA256 != "" {
		places := make(map[string]slipway.Place, len(staged.New))
		for _, f := range staged.New {
			places[f.SHA256] = f.Place
		}
		if err := tx.AddPack(w.Deployment, store.Pack{SHA256: staged.Pack.SHA256, Size: staged.Pack.Size}, places); err != nil {
			return err
		}
	}
	return tx.ClaimPacks(w, slipway.PacksOf(files))
}

// outsideMax is how many names beside the dags folder are stored. All are counted.
const outsideMax = 1000

// report returns the names of an upload that are not deployed, and the sum of
// the files that are.
func report(staged bundle.Staged) store.Report {
	r := store.Report{Outside: staged.Outside[:min(len(staged.Outside), outsideMax)], Content: slipway.ContentSum(staged.Files)}
	for _, o := range staged.LeftOut {
		r.LeftOut = append(r.LeftOut, store.LeftOut{Name: o.Name, Why: o.Why})
	}
	return r
}

// dropUnrecorded deletes a pack unless a record names the pack: an earlier pack
// with the same contents has the same name.
func (a *dagStager) dropUnrecorded(ctx context.Context, d slipway.Deployment, sum string) error {
	known, err := a.knownPacks(ctx, d.ID)
	if err != nil || known[sum] {
		return err
	}
	if paused, err := a.deletions.deletionPaused(ctx); err != nil || paused {
		return err
	}
	return a.bundles.DropPack(d.Namespace, sum)
}

func (a *dagStager) knownPacks(ctx context.Context, of slipway.DeploymentID) (map[string]bool, error) {
	known := map[string]bool{}
	err := a.store.View(ctx, func(tx *store.Tx) error {
		packs, err := tx.Packs(of)
		if err != nil {
			return err
		}
		for _, p := range packs {
			known[p.SHA256] = true
		}
		return nil
	})
	return known, err
}
