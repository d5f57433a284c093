package deploy

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"slipway/internal/archive"
	"slipway/internal/bundle"
	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store"
)

// switchStager prepares a switch of DAG-only deploys, together with the image
// or version to go with the switch.
type switchStager struct {
	*base
	contents    *contents
	dagStager   *dagStager
	imageStager *imageStager
	images      *images
	logins      *logins
	uploadFiles *uploadFiles
}

// SwitchSafely makes a deploy that turns DAG-only deploys on or off, with an
// image or version to match. All steps that can fail run in the background. The
// deploy then waits for a confirmation, with the list of the files. Nothing
// changes before.
func (t *switchStager) SwitchSafely(ctx context.Context, of slipway.DeploymentID, on bool, by slipway.Actor) (w slipway.Deploy, err error) {
	err = t.store.Update(ctx, func(tx *store.Tx) error {
		d, role, err := tx.Projected(of, by)
		if err != nil {
			return err
		}
		if err := d.MaySwitchSafely(on, role); err != nil {
			return err
		}
		w = slipway.Deploy{
			Deployment: of, Kind: slipway.ImageAndDAG, Status: slipway.Initialized, By: by, Merge: slipway.ReplaceAll,
			Base: d.Version, Switch: &slipway.SafeSwitch{On: on, From: d.State}, Description: switchWords(d.State, on),
		}
		if w.Tag, err = freeTag(tx, of); err != nil {
			return err
		}
		if w, err = tx.AddDeploy(w); err != nil {
			return err
		}
		return audit(tx, by, d, "switch.prepare", w)
	})
	if err != nil {
		return slipway.Deploy{}, err
	}
	t.wakers.wakeStage(of)
	t.watchers.notify(of)
	return w, nil
}

// switchWords describes a safe switch for the history.
func switchWords(from slipway.State, on bool) string {
	switch {
	case on && from.Mounted:
		return "Turns on DAG-only deploys, with the DAGs that are mounted."
	case on:
		return "Turns on DAG-only deploys, with the DAGs of the image as a DAG bundle."
	case from.Mounted:
		return fmt.Sprintf("Turns off DAG-only deploys: the image and a layer with the DAGs of bundle %s.", from.Version.Short())
	}
	return "Turns off DAG-only deploys: the image carries the DAGs already."
}

// stageSwitch prepares a safe switch.
func (t *switchStager) stageSwitch(ctx context.Context, d slipway.Deployment, w slipway.Deploy) error {
	from := w.Switch.From
	base, login, err := t.known(ctx, d, from)
	if err != nil {
		return err
	}
	switch {
	case w.Switch.On && !w.HasDAGs():
		if err := t.stageEnable(ctx, d, w, base, login); err != nil {
			return err
		}
	case !w.Switch.On && from.Mounted:
		next, err := t.withDAGs(ctx, d, w, base, login)
		if err != nil {
			return err
		}
		return t.imageStager.recordOwn(ctx, d, w, next)
	}
	base.Tag = from.ImageTag
	return t.imageStager.recordImage(ctx, d, w, base, login)
}

// known returns the image of a state, and the login to the registry.
func (t *switchStager) known(ctx context.Context, d slipway.Deployment, s slipway.State) (i slipway.Image, login image.Login, err error) {
	found := false
	err = t.store.View(ctx, func(tx *store.Tx) (err error) {
		i, found, err = tx.Image(d.ID, s.Image)
		return err
	})
	if err != nil || !found {
		return t.inspectIf(ctx, d, s, err)
	}
	login, err = t.logins.login(ctx, d, i.Name)
	return i, login, err
}

func (t *switchStager) inspectIf(ctx context.Context, d slipway.Deployment, s slipway.State, err error) (slipway.Image, image.Login, error) {
	if err != nil {
		return slipway.Image{}, image.Login{}, err
	}
	return t.imageStager.inspect(ctx, d, s.ImageRef())
}

// stageEnable stages the present DAGs of Airflow for a bundle version.
func (t *switchStager) stageEnable(ctx context.Context, d slipway.Deployment, w slipway.Deploy, base slipway.Image, login image.Login) error {
	var staged bundle.Staged
	var err error
	if from := w.Switch.From; from.Mounted {
		staged.Files, err = t.filesFor(ctx, w)
	} else {
		staged, err = t.stageImageDAGs(ctx, d, base, login)
	}
	if err == nil {
		err = t.dagStager.record(ctx, w, store.Upload{}, staged, report(staged), staged.Files)
	}
	if err != nil && staged.Pack.SHA256 != "" {
		err = errors.Join(err, t.dagStager.dropUnrecorded(context.WithoutCancel(ctx), d, staged.Pack.SHA256))
	}
	return err
}

// stageImageDAGs stores the contents of an image's dags folder that are in no pack
// yet.
func (t *switchStager) stageImageDAGs(ctx context.Context, d slipway.Deployment, i slipway.Image, login image.Login) (staged bundle.Staged, err error) {
	temp, err := t.uploadFiles.TempFile(ctx, slipway.Actor{})
	if err != nil {
		return staged, err
	}
	defer temp.Close()
	out, files := tar.NewWriter(temp), 0
	err = t.imageStager.eachDAGFile(ctx, i, login, dagsPath(d, i), func(h *tar.Header, r io.Reader) error {
		files++
		copied := &tar.Header{Typeflag: h.Typeflag, Name: "dags/" + h.Name, Linkname: h.Linkname, Size: h.Size, Mode: h.Mode}
		if err := out.WriteHeader(copied); err != nil {
			return err
		}
		_, err := io.Copy(out, r)
		return err
	})
	if err = errors.Join(err, out.Close()); err != nil || files == 0 {
		return staged, unavailable(err)
	}
	staged, err = t.dagStager.stageArchive(ctx, d, temp.File, archive.Search{})
	return staged, refusedInImage(err, dagsPath(d, i))
}

// refusedInImage words the refusal of a tar that was made of an image's dags
// folder: nobody packed or uploaded an archive.
func refusedInImage(err error, folder string) error {
	kind, text := slipway.Explain(err)
	if err == nil || kind != slipway.Invalid && kind != slipway.TooLarge {
		return err
	}
	var said []string
	for sentence := range strings.SplitSeq(text, ". ") {
		if !strings.HasPrefix(sentence, "Pack ") && !strings.HasPrefix(sentence, "Upload ") {
			said = append(said, strings.TrimSuffix(strings.Replace(sentence, "The archive ", "The dags folder ", 1), "."))
		}
	}
	return errors.Join(slipway.Errorf(kind, "The DAGs of the image cannot become a DAG bundle. %s. Here dags/ is the folder %s of the image: mend it there, deploy that image, then turn the switch.",
		strings.Join(said, ". "), folder), err)
}

// withDAGs builds the image of a safe switch: base and a layer with the mounted
// DAGs.
func (t *switchStager) withDAGs(ctx context.Context, d slipway.Deployment, w slipway.Deploy, base slipway.Image, login image.Login) (slipway.Image, error) {
	files, err := t.filesFor(ctx, w)
	if err != nil {
		return base, err
	}
	dags := image.Dags{Path: dagsPath(d, base), Files: make([]image.DagFile, len(files))}
	dags.At, _ = w.Switch.From.Version.Time()
	for n, f := range files {
		dags.Files[n] = image.DagFile{Path: f.Path, Mode: modeOf(f), Size: f.Size, Link: f.Link, Open: func() (io.ReadCloser, error) {
			return t.contents.Content(ctx, d, f)
		}}
	}
	return t.cfg.Images.WithDags(ctx, base, login, dags, Repository(d), w.Tag)
}

// filesFor returns the mounted files at the turn of w, a safe switch. Files of
// earlier deploys in the queue may be in no version yet.
func (t *switchStager) filesFor(ctx context.Context, w slipway.Deploy) ([]slipway.File, error) {
	var b queueState
	err := t.store.View(ctx, func(tx *store.Tx) (err error) {
		b, err = makersQueue(tx, w)
		return err
	})
	if err == nil {
		err = b.projected.Takes(w)
	}
	if err != nil {
		return nil, err
	}
	return t.contents.projectedFiles(b)
}

func modeOf(f slipway.File) uint32 {
	if f.Exec {
		return 0o755
	}
	return 0o644
}

// RegisterImage records an Owner's statement of the running image where Slipway
// knows none. Nothing is rolled out.
func (t *switchStager) RegisterImage(ctx context.Context, of slipway.DeploymentID, by slipway.Actor, text string) (i slipway.Image, err error) {
	var d slipway.Deployment
	may := func(tx *store.Tx) (err error) {
		var role slipway.Role
		if d, role, err = tx.Deployment(of, by); err != nil {
			return err
		}
		return d.MayRegister(role)
	}
	if err := t.store.View(ctx, may); err != nil {
		return i, err
	}
	source, err := t.images.source(d, text)
	if err != nil {
		return i, err
	}
	if i, _, err = t.imageStager.inspect(ctx, d, source); err != nil {
		return i, err
	}
	err = t.store.Update(ctx, func(tx *store.Tx) error {
		if err := may(tx); err != nil {
			return err
		}
		d = d.Registered(i)
		d.Updater = by.Title()
		if err := errors.Join(tx.KeepImage(of, i), tx.SaveState(d), tx.Want(of, i.Digest)); err != nil {
			return err
		}
		return tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: of, Action: "image.register", Target: d.Name, Detail: i.Ref()})
	})
	if err == nil {
		t.watchers.notify(of)
	}
	return i, err
}

// StateImageRuns records a person's statement that Airflow runs the image with a
// digest. Where that is known already, nothing changes.
func (t *switchStager) StateImageRuns(ctx context.Context, of slipway.DeploymentID, digest string, by slipway.Actor) error {
	err := t.store.Update(ctx, func(tx *store.Tx) error {
		d, role, err := tx.Deployment(of, by)
		if err != nil {
			return err
		}
		next, err := d.StateRuns(digest, role)
		if err != nil || d.ToRun == "" {
			return err
		}
		next.Updater = by.Title()
		if err := tx.SaveToRun(next); err != nil {
			return err
		}
		return tx.Audit(by, slipway.Event{Workspace: d.Workspace, Deployment: of, Action: "image.runs", Target: d.Name, Detail: d.ImageRef()})
	})
	if err == nil {
		t.watchers.notify(of)
	}
	return err
}
