package slipway

import (
	"net/url"
	"strings"
	"time"
)

// DeployID names a deploy in the whole installation. People name it by its
// number, which counts from 1 in each Deployment.
type DeployID string

// DeployKind is what a deploy carries, as the API names it.
type DeployKind string

// The kinds.
const (
	DAGOnly     DeployKind = "DAG_ONLY"
	ImageOnly   DeployKind = "IMAGE_ONLY"
	ImageAndDAG DeployKind = "IMAGE_AND_DAG"
)

// Title returns how the pages name k.
func (k DeployKind) Title() string {
	return map[DeployKind]string{DAGOnly: "DAGs", ImageOnly: "Image", ImageAndDAG: "Image and DAGs"}[k]
}

// HasImage reports whether a deploy of kind k brings an image.
func (k DeployKind) HasImage() bool { return k == ImageOnly || k == ImageAndDAG }

// Status is where a deploy is in its life.
type Status string

// The states of a deploy, in their order; it ends in one of the last three.
const (
	Initialized Status = "initialized" // files arriving
	Staged      Status = "staged"      // checked; its changes can be read
	Queued      Status = "queued"      // confirmed; others go first
	Deploying   Status = "deploying"
	Deployed    Status = "deployed"
	Failed      Status = "failed"
	Cancelled   Status = "cancelled"
)

// Ended reports whether s is final.
func (s Status) Ended() bool { return s == Deployed || s == Failed || s == Cancelled }

// Active reports whether a deploy in s holds a place in its Deployment's queue.
func (s Status) Active() bool { return s == Queued || s == Deploying }

// Deploy is one change of code to a Deployment: a row of its history.
type Deploy struct {
	ID          DeployID
	Deployment  DeploymentID
	Number      int
	Kind        DeployKind
	Status      Status
	Reason      string // why it failed or was cancelled: a sentence
	Note        string // what else there is to say of its end: a sentence
	Description string
	By          Actor
	ConfirmedBy Actor // zero until it is confirmed
	Git         Git

	Version  Version // that it brings, or for a return the old one it mounts again
	Merge    Merge
	Upload   string // the archive's name, or "3 files"
	Fix      string // the file that was mended on a page, below dags; "" for what came from elsewhere
	Bytes    int64  // that arrived
	Resumes  int    // times that the upload was taken up again
	Base     Version
	ReturnTo int         // number of the deploy it returns to; 0 for others
	UndoneBy int         // number of the newest return to before this one; 0 for none
	After    State       // after it: foreseen while it is queued, and before that no more than the image it brings
	Image    *Image      // that it brings, as inspection found it; nil until then, and for others
	Source   string      // reference that its image was asked for by; "" for an archive, and until a push is finalized
	Tag      string      // that is kept for its image in the portal's registry; "" for none
	WantsDAG bool        // its DAGs are announced, and not staged yet
	Switch   *SafeSwitch // that it makes and follows up; nil for others
	ByHand   bool        // somebody restarts Airflow with its image himself, and said so
	Counts   Counts
	Position int64 // in the queue of its Deployment; 0 before it is confirmed

	CreatedAt   time.Time
	UploadedAt  time.Time // zero until then, as all that follow
	StagedAt    time.Time
	QueuedAt    time.Time
	DeployingAt time.Time
	RollingAt   time.Time // its image is wanted of components from then on
	MountingAt  time.Time // and its DAGs
	StoredAt    time.Time // bundle version complete on the portal's side
	LiveAt      time.Time // wanted of every component from then on
	EndedAt     time.Time
}

// Git is where the files of a deploy came from, as its sender says.
type Git struct {
	Commit, Branch, Repository, URL, Author string
}

// Counts sums up what a deploy did to the files.
type Counts struct {
	Added, Changed, Removed, Unchanged int
	Files                              int   // of the version
	NewBytes                           int64 // stored for it, compressed
	LeftOut                            int   // ignored
	Outside                            int   // of the project but not DAGs: they need an image deploy
}

// WentLive reports whether d was what its Deployment should run, then or now.
func (d Deploy) WentLive() bool { return !d.LiveAt.IsZero() }

// UnfinishedLife is how long a deploy waits after its last byte to be confirmed
// or finalized.
const UnfinishedLife = 24 * time.Hour

// errDAGOnlyOff is refused in the words that the astro CLI looks for.
var errDAGOnlyOff = &Error{Kind: Conflict, Text: "DAG-only deploys are not enabled for this Deployment."}

// MayDeploy judges whether by, with role, may make a deploy of kind on d now.
// The page offers the kinds that it allows.
func (d Deployment) MayDeploy(kind DeployKind, role Role, by Actor) error {
	if err := d.roleFor(kind, role); err != nil {
		return err
	}
	if d.CICDEnforced && by.Token == "" {
		return Errorf(Forbidden, "CI/CD is enforced for this Deployment: only API tokens deploy to it. People may still return to an earlier deploy.")
	}
	if err := by.Allows(kind); err != nil {
		return err
	}
	return d.takesKind(kind)
}

// MayMake judges whether by, with role, may make w on d now.
func (d Deployment) MayMake(w Deploy, role Role, by Actor) error {
	if w.Switch != nil { // a switch is not refused by CI/CD enforcement, nor is what follows it
		return d.MaySwitchSafely(w.Switch.On, role)
	}
	return d.MayDeploy(w.Kind, role, by)
}

// Takes judges w once more when its turn comes: a switch or an image before it
// in the queue, on which it relied, may have been called back.
func (d Deployment) Takes(w Deploy) error {
	switch {
	case w.ReturnTo != 0:
		return d.takesReturn(w)
	case w.Switch != nil:
		return d.takesSwitch(*w.Switch)
	}
	if err := d.takesKind(w.Kind); err != nil || !w.Kind.HasImage() {
		return err
	}
	return d.takesImage(w)
}

func (d Deployment) takesKind(kind DeployKind) error {
	switch {
	case kind.Title() == "":
		return Errorf(Invalid, "There is no kind of deploy %q. The kinds are DAG_ONLY, IMAGE_ONLY and IMAGE_AND_DAG.", kind)
	case kind == DAGOnly && !d.DAGDeploys:
		return errDAGOnlyOff
	case kind == ImageOnly && !d.DAGDeploys:
		return Errorf(Conflict, "An image alone needs DAG-only deploys, which are not enabled for this Deployment. Deploy image and DAGs together.")
	}
	return nil
}

func (d Deployment) roleFor(kind DeployKind, role Role) error {
	if kind == DAGOnly {
		return role.May(DeployDAGs)
	}
	return role.atLeast(max(d.ImageRole, needs[DeployImages]), DeployImages)
}

// Confirm returns w in the queue of d, which must be as it will be at the end
// of its queue. The caller says by base against which version the changes were
// read: if somebody's deploy came in between, they must be read anew. What a
// token sent, a person may confirm although CI/CD is enforced.
func (d Deployment) Confirm(w Deploy, role Role, by Actor, base Version) (Deploy, error) {
	sender := by
	if w.By.Token != "" {
		sender = w.By
	}
	if err := d.MayMake(w, role, sender); err != nil {
		return w, err
	}
	if err := by.Allows(w.Kind); err != nil {
		return w, err
	}
	if w.Status != Staged {
		return w, Errorf(Conflict, "Deploy #%d cannot be confirmed: it is %s.", w.Number, w.Status)
	}
	if base != d.Version {
		return w, ErrBaseChanged
	}
	if err := d.Takes(w); err != nil {
		return w, err
	}
	w.Status, w.Base, w.ConfirmedBy = Queued, d.Version, by
	w.After = d.State.With(w)
	return w, nil
}

// ErrBaseChanged is what Confirm returns when the changes that were read are
// no longer those that the deploy would make.
var ErrBaseChanged = &Error{Kind: Conflict, Text: "Another deploy came in between. Read the changes against it, then confirm again."}

// Cancel returns w as a person gave it up before it was confirmed, or called
// it back before its turn. While it runs it is too late.
func (w Deploy) Cancel(role Role, by Actor) (Deploy, error) {
	if err := role.May(CancelDeploys); err != nil {
		return w, err
	}
	switch w.Status {
	case Initialized, Staged:
		w.Reason = "Discarded by " + by.Title() + "."
	case Queued:
		w.Reason = "Cancelled by " + by.Title() + " before its turn."
	case Deploying:
		return w, Errorf(Conflict, "Deploy #%d is going live already. Return to an earlier deploy instead.", w.Number)
	default:
		return w, Errorf(Conflict, "Deploy #%d has ended: it is %s.", w.Number, w.Status)
	}
	w.Status = Cancelled
	return w, nil
}

// Checked returns w, which waits to be confirmed once all that it brings is
// known.
func (w Deploy) Checked() Deploy {
	if !w.WantsDAG && (w.Image != nil || !w.Kind.HasImage()) {
		w.Status = Staged
	}
	return w
}

// Clean returns g as it is kept and shown: what its sender says is cut and
// printable, and its address leads to a web page or is left out.
func (g Git) Clean() Git {
	for _, part := range []*string{&g.Commit, &g.Branch, &g.Repository, &g.URL, &g.Author} {
		text := []rune(strings.TrimSpace(strings.Map(printable, strings.ToValidUTF8(*part, ""))))
		*part = string(text[:min(len(text), maxGit)])
	}
	if u, err := url.Parse(g.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		g.URL = ""
	}
	return g
}

// Expired says why w is given up at now: nobody has finished it within a day
// of its last byte. It is "" while w may still be finished.
func (w Deploy) Expired(lastByte, now time.Time) string {
	switch late := now.Sub(lastByte) >= UnfinishedLife; {
	case late && w.Status == Staged:
		return "Never confirmed within 24 hours. Upload the files again."
	case late && w.Status == Initialized && w.Kind.HasImage():
		return "It was not completed within 24 hours. Start it again."
	case late && w.Status == Initialized && w.UploadedAt.IsZero():
		return "The upload was never completed. Upload the files again."
	}
	return ""
}

// Describe returns w with another description, as long as it is not confirmed.
func (w Deploy) Describe(role Role, text string) (Deploy, error) {
	if err := role.May(DeployDAGs); err != nil {
		return w, err
	}
	if w.Status != Initialized && w.Status != Staged {
		return w, Errorf(Conflict, "Deploy #%d is %s: its description stays.", w.Number, w.Status)
	}
	w.Description = text
	return w, nil
}
