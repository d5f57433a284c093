package slipway

import (
	"cmp"
	"time"
)

// DeployID names a deploy in the whole installation. People use its number,
// counted from 1 in each Deployment.
type DeployID string

// DeployKind is the content of a deploy, by its name in the API.
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
func (k DeployKind) HasImage() bool {
	return k == ImageOnly || k == ImageAndDAG
}

// Purpose is the reason of a deploy; the kind tells the contents.
type Purpose int

// The purposes.
const (
	ForCode   Purpose = iota // code from the sender
	ForSwitch                // a safe switch, with code of Slipway's making
	ForReturn                // to the state after an earlier deploy
)

// Status is a stage in the life of a deploy.
type Status string

// The statuses of a deploy, in order; the last three are final.
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
func (s Status) Ended() bool {
	return s == Deployed || s == Failed || s == Cancelled
}

// Active reports whether a deploy with status s is in the queue of its
// Deployment.
func (s Status) Active() bool { return s == Queued || s == Deploying }

// Deploy is one change of code to a Deployment: a row of the history.
type Deploy struct {
	ID          DeployID
	Deployment  DeploymentID
	Number      int
	Kind        DeployKind
	Status      Status
	Reason      string // why the deploy failed or was cancelled: a sentence
	Note        string // further remark on the outcome: a sentence
	Description string
	By          Actor
	ConfirmedBy Actor // zero until confirmed
	Git         Git

	Version  Version // new bundle version, or for a return the old one to mount again
	Merge    Merge
	Folder   string    // for the files, below dags; "" for dags itself
	Root     *Root     // folder of the archive that became dags; nil for the usual one
	Landing  *Landings // names of the upload that stand elsewhere in the version; nil for none
	Upload   string    // the archive's name, or "3 files"
	Fix      string    // the file edited on a page, below dags; "" for uploads
	Bytes    int64     // received
	Resumes  int       // times the upload was resumed
	Base     Version
	ReturnTo int         // number of the deploy to return to; 0 for others
	UndoneBy int         // number of the newest return to an earlier deploy; 0 for none
	After    State       // state after the deploy: projected while queued, only the new image before
	Image    *Image      // new image, by inspection; nil until inspected, and for deploys without image
	Source   string      // requested image reference; "" for an archive, and until a push is finalized
	Tag      string      // tag of the image in the portal's registry; "" for none
	WantsDAG bool        // DAGs are announced, and not staged yet
	Switch   *SafeSwitch // switch to apply with the deploy; nil for others
	ByHand   bool        // the sender restarts Airflow with the image by hand, and said so
	Counts   Counts
	Position int64 // in the queue of the Deployment; 0 before confirmation

	CreatedAt   time.Time
	UploadedAt  time.Time // zero until then, as all below
	StagedAt    time.Time
	QueuedAt    time.Time
	DeployingAt time.Time
	RollingAt   time.Time // from then on the image is desired
	MountingAt  time.Time // from then on the DAGs are desired, too
	StoredAt    time.Time // bundle version complete on the portal's side
	LiveAt      time.Time // the state after the deploy became the desired state: before DAGs are mounted, after an image is rolled out
	EndedAt     time.Time
}

// Counts sums up the changes of a deploy to files.
type Counts struct {
	Added, Changed, Removed, Unchanged int
	Modes                              int   // of Changed: files that differ by their mode alone
	Files                              int   // of the version
	NewBytes                           int64 // stored by the deploy, compressed
	LeftOut                            int   // ignored
	Outside                            int   // project files other than DAGs: an image deploy is needed for them
}

// DaySum counts the deploys made on a day.
type DaySum struct {
	Day     time.Time // the day's beginning, in UTC
	Deploys int       // without discarded ones
	Live    int       // went live, and neither failed nor was undone
	Undone  int
	Failed  int
	Staged  int // waits to be confirmed
}

// Add counts n more deploys with a status. undone matters for deploys that went
// live.
func (s *DaySum) Add(status Status, live, undone bool, n int) {
	if status == Cancelled {
		return
	}
	s.Deploys += n
	switch {
	case status == Failed:
		s.Failed += n
	case status == Staged:
		s.Staged += n
	case live && undone:
		s.Undone += n
	case live:
		s.Live += n
	}
}

// Plus returns the sum of s and other, on the day of s.
func (s DaySum) Plus(other DaySum) DaySum {
	s.Deploys += other.Deploys
	s.Live += other.Live
	s.Undone += other.Undone
	s.Failed += other.Failed
	s.Staged += other.Staged
	return s
}

// Purpose returns the reason of w.
func (w Deploy) Purpose() Purpose {
	switch {
	case w.ReturnTo != 0:
		return ForReturn
	case w.Switch != nil:
		return ForSwitch
	}
	return ForCode
}

// HeldBytes returns the bytes of contents that w, while unfinished, keeps on the
// portal's disk besides uploads: the pack, unless packs lie in a bucket, and the image
// of an archive.
func (w Deploy) HeldBytes(inBucket bool) (n int64) {
	if w.Image != nil && w.Source == "" && w.Purpose() == ForCode {
		n = w.Bytes
	}
	if !inBucket {
		n += w.Counts.NewBytes
	}
	return n
}

// WentLive reports whether w was ever the desired state of the Deployment.
func (w Deploy) WentLive() bool { return !w.LiveAt.IsZero() }

// UnfinishedLife is the time from the last byte of a deploy to expiry without
// confirmation or finalizing.
const UnfinishedLife = 24 * time.Hour

// errDAGOnlyOff has the text that the astro CLI looks for.
var errDAGOnlyOff = &Error{Kind: Conflict, Text: "DAG-only deploys are not enabled for this Deployment."}

// MayDeploy checks whether by, with role, may make a deploy of kind on d now.
// The page offers the allowed kinds.
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

// MayMake is MayDeploy for a deploy that exists. Switches have a rule of their own.
func (d Deployment) MayMake(w Deploy, role Role, by Actor) error {
	if w.Purpose() == ForSwitch { // CI/CD enforcement refuses neither a switch nor its follow-up
		return d.MaySwitchSafely(w.Switch.On, role)
	}
	return d.MayDeploy(w.Kind, role, by)
}

// Takes checks w again at the head of the queue: a switch or an image earlier
// in the queue, needed by w, may have been cancelled.
func (d Deployment) Takes(w Deploy) error {
	switch w.Purpose() {
	case ForReturn:
		return d.takesReturn(w)
	case ForSwitch:
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

// takesImage checks the new image of w.
func (d Deployment) takesImage(w Deploy) error {
	if w.Image != nil && !w.Image.Runs(d.Platform) {
		return Errorf(Invalid, "The image is for %s, and this Deployment needs %s. Build it for that platform, or change the Deployment's settings.", w.Image.Platform, d.Platform)
	}
	next := w.After.Runtime
	if d.Runtime == "" || next == "" || Release(next).Compare(Release(d.Runtime)) >= 0 {
		return nil
	}
	return Errorf(Conflict, "Cannot deploy a downgraded Astro Runtime version. The image has Runtime %s, and this Deployment is on %s. Deploy an image with Runtime %s or later, or return to an earlier deploy.",
		next, d.Runtime, d.Runtime)
}

func (d Deployment) roleFor(kind DeployKind, role Role) error {
	if kind == DAGOnly {
		return role.May(DeployDAGs)
	}
	return role.atLeast(max(d.ImageRole, needs[DeployImages]), DeployImages)
}

// Confirm returns w queued on d, where d must be projected to the end of the
// queue. base is the version of the changes that the caller has read: after a
// deploy in between, the changes must be read again. A person may confirm a
// token's deploy although CI/CD is enforced.
func (d Deployment) Confirm(w Deploy, role Role, by Actor, base Version) (Deploy, error) {
	if err := by.Reaches(w); err != nil { // first: some refusals by what follows end w as failed
		return w, err
	}
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
	if err := cmp.Or(w.Rooted(), w.Settled()); err != nil {
		return w, err
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

// ErrBaseChanged is the error of Confirm when the changes that were read are
// not the changes that the deploy would make.
var ErrBaseChanged = &Error{Kind: Conflict, Text: "Another deploy came in between. Read the changes against it, then confirm again."}

// Cancel returns w cancelled before confirmation or while queued. A running
// deploy cannot be cancelled.
func (w Deploy) Cancel(role Role, by Actor) (Deploy, error) {
	if err := role.May(CancelDeploys); err != nil {
		return w, err
	}
	if err := by.Reaches(w); err != nil {
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

// Checked returns w as staged once all its contents are known.
func (w Deploy) Checked() Deploy {
	if !w.WantsDAG && !w.LacksImage() {
		w.Status = Staged
	}
	return w
}

// Expired returns the reason for the expiry of w at now, a day after the last
// byte; "" while w may still be finished.
func (w Deploy) Expired(lastByte, now time.Time) string {
	switch late := now.Sub(lastByte) >= UnfinishedLife; {
	case late && w.Waits() == WaitConfirmation:
		return "Never confirmed within 24 hours. Upload the files again."
	case late && w.Status == Initialized && w.Kind.HasImage():
		return "It was not completed within 24 hours. Start it again."
	case late && w.Waits() == WaitUpload:
		return "The upload was never completed. Upload the files again."
	}
	return ""
}

// Describe returns w with another description, until confirmation.
func (w Deploy) Describe(role Role, by Actor, text string) (Deploy, error) {
	if err := role.May(DeployDAGs); err != nil {
		return w, err
	}
	if err := by.Reaches(w); err != nil {
		return w, err
	}
	if w.Status != Initialized && w.Status != Staged {
		return w, Errorf(Conflict, "Deploy #%d is %s: its description stays.", w.Number, w.Status)
	}
	w.Description = text
	return w, nil
}
