package store

import (
	"strings"
	"time"

	"slipway/internal/slipway"
)

// Upload is an archive that arrives, or has arrived, for a deploy.
type Upload struct {
	ID        string // of its file, and of the tus resource: that of its deploy, marked for an image
	Deploy    slipway.DeployID
	Image     bool   // it is an image; else DAGs
	Length    int64  // bytes that will have arrived
	Folder    string // below dags, where loose files go
	CreatedAt time.Time
	TouchedAt time.Time // when its last byte came, within a minute
	ArrivedAt time.Time // all of it; zero until then
}

const uploadColumns = `id, deploy, image, length, folder, created_at, touched_at, arrived_at`

func scanUpload(r row) (u Upload, err error) {
	err = r.Scan(&u.ID, &u.Deploy, &u.Image, &u.Length, &u.Folder, millis{&u.CreatedAt}, millis{&u.TouchedAt}, millis{&u.ArrivedAt})
	return u, err
}

// ofImage ends the id of an upload that brings an image.
const ofImage = "-image"

// AddUpload records an upload and returns it with its id and times set.
func (tx *Tx) AddUpload(u Upload) (Upload, error) {
	u.ID, u.CreatedAt, u.TouchedAt = string(u.Deploy), tx.Now, tx.Now
	if u.Image {
		u.ID += ofImage
	}
	return u, tx.exec("add upload", `INSERT INTO uploads (`+uploadColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		u.ID, u.Deploy, u.Image, u.Length, u.Folder, ms(u.CreatedAt), ms(u.TouchedAt), ms(u.ArrivedAt))
}

// Upload returns an upload by id, with its deploy. To anyone but whoever began
// it, it does not exist; whether they still may deploy is the caller's to ask.
func (tx *Tx) Upload(id string, by slipway.Actor) (Upload, slipway.Deploy, error) {
	u, err := one(tx, "upload", errUploadGone, scanUpload, `SELECT `+uploadColumns+` FROM uploads WHERE id = ?`, id)
	if err != nil {
		return u, slipway.Deploy{}, err
	}
	w, err := tx.LoadDeploy(u.Deploy)
	if err == nil && (w.By.User != by.User || w.By.Token != by.Token) {
		err = errUploadGone
	}
	return u, w, err
}

var errUploadGone = &slipway.Error{Kind: slipway.NotFound, Text: "This upload is over or was discarded. Start it again."}

// ArrivedUpload returns the deploy of an upload that is no longer there, if all
// of it arrived after since, for whoever began it.
func (tx *Tx) ArrivedUpload(id string, by slipway.Actor, since time.Time) (slipway.Deploy, error) {
	deploy, image := strings.CutSuffix(id, ofImage)
	w, err := tx.LoadDeploy(slipway.DeployID(deploy))
	if kind, _ := slipway.Explain(err); err != nil && kind != slipway.NotFound {
		return w, err
	}
	arrived := w.UploadedAt
	if image {
		arrived = w.StagedAt // it is there until then
	}
	if err != nil || w.By.User != by.User || w.By.Token != by.Token || !arrived.After(since) {
		return slipway.Deploy{}, errUploadGone
	}
	return w, nil
}

// UploadOf returns the upload of a deploy that brings DAGs, and whether it has
// one.
func (tx *Tx) UploadOf(id slipway.DeployID) (Upload, bool, error) {
	return first(list(tx, "upload of deploy", scanUpload, `SELECT `+uploadColumns+` FROM uploads WHERE deploy = ? AND image = 0`, id))
}

// UploadsFor returns the uploads of a deploy: of its image, and of its DAGs.
func (tx *Tx) UploadsFor(id slipway.DeployID) ([]Upload, error) {
	return list(tx, "uploads of deploy", scanUpload, `SELECT `+uploadColumns+` FROM uploads WHERE deploy = ? ORDER BY image DESC`, id)
}

// UploadArrived notes that all of an upload is here.
func (tx *Tx) UploadArrived(id string) error {
	return tx.exec("upload arrived", `UPDATE uploads SET touched_at = ?1, arrived_at = IIF(arrived_at = 0, ?1, arrived_at) WHERE id = ?2`, ms(tx.Now), id)
}

// Arrived returns the deploys of a Deployment of which something waits to be
// staged: a complete upload, an image to inspect, or a safe switch to prepare.
// They come in the order of their arrival.
func (tx *Tx) Arrived(of slipway.DeploymentID) ([]slipway.Deploy, error) {
	return list(tx, "arrived uploads", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w INDEXED BY deploys_unfinished
		WHERE w.deployment = ? AND w.status IN ('initialized', 'staged') AND w.status = 'initialized' AND (
			EXISTS (SELECT 1 FROM uploads u WHERE u.deploy = w.id AND u.arrived_at > 0) OR
			w.image = '' AND (w.source <> '' OR w.safe_switch <> ''))
		ORDER BY IIF(w.uploaded_at > 0, w.uploaded_at, w.created_at), w.number`, of)
}

// Uploads returns every upload, for the engine.
func (tx *Tx) Uploads() ([]Upload, error) {
	return list(tx, "uploads", scanUpload, `SELECT `+uploadColumns+` FROM uploads ORDER BY id`)
}

// UploadsOf returns the uploads to a Deployment, also to a deleted one.
func (tx *Tx) UploadsOf(of slipway.DeploymentID) ([]Upload, error) {
	return list(tx, "uploads of deployment", scanUpload, `
		SELECT `+uploadColumns+` FROM uploads WHERE deploy IN (SELECT id FROM deploys WHERE deployment = ?)`, of)
}

// TouchUpload notes that bytes arrived.
func (tx *Tx) TouchUpload(id string) error {
	return tx.exec("touch upload", `UPDATE uploads SET touched_at = ? WHERE id = ?`, ms(tx.Now), id)
}

// DropUpload forgets an upload; its file is the caller's to remove.
func (tx *Tx) DropUpload(id string) error {
	return tx.exec("drop upload", `DELETE FROM uploads WHERE id = ?`, id)
}

// Report says what of an upload is not deployed.
type Report struct {
	LeftOut []LeftOut `json:",omitempty"`
	Outside []string  `json:",omitempty"` // of the project, but no DAGs: an image deploy brings them
}

// LeftOut is a file or folder that was ignored, and by which pattern.
type LeftOut struct{ Name, Why string }

// SetStaged keeps what an upload brought until its deploy has its turn. files
// is as package deploy encodes it.
func (tx *Tx) SetStaged(id slipway.DeployID, files []byte, r Report) error {
	return tx.exec("set staged", `
		INSERT INTO staged (deploy, files, report) VALUES (?, ?, ?)
		ON CONFLICT (deploy) DO UPDATE SET files = excluded.files, report = excluded.report`, id, files, asJSON(r))
}

// StagedFiles returns what SetStaged kept, nil if nothing.
func (tx *Tx) StagedFiles(id slipway.DeployID) ([]byte, error) {
	b, _, err := first(list(tx, "staged files", func(r row) (b []byte, err error) {
		err = r.Scan(&b)
		return b, err
	}, `SELECT files FROM staged WHERE deploy = ?`, id))
	return b, err
}

// StagedReport returns what of a deploy's upload was left out.
func (tx *Tx) StagedReport(id slipway.DeployID) (Report, error) {
	rep, _, err := first(list(tx, "staged report", func(r row) (rep Report, err error) {
		err = r.Scan(jsonText{&rep})
		return rep, err
	}, `SELECT report FROM staged WHERE deploy = ?`, id))
	return rep, err
}

// DropStaged forgets the files that a deploy brought, once its version stands
// or it has ended. What was left out stays to be read.
func (tx *Tx) DropStaged(id slipway.DeployID) error {
	return tx.exec("drop staged", `UPDATE staged SET files = x'' WHERE deploy = ?`, id)
}
