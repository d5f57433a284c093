package store

import (
	"time"

	"slipway"
)

// Upload is an archive that arrives, or has arrived, for a deploy.
type Upload struct {
	ID        string // of its file, and of the tus resource
	Deploy    slipway.DeployID
	Length    int64  // bytes that will have arrived
	Folder    string // below dags, where loose files go
	CreatedAt time.Time
	TouchedAt time.Time // when its last byte came, within a minute
}

const uploadColumns = `id, deploy, length, folder, created_at, touched_at`

func scanUpload(r row) (u Upload, err error) {
	err = r.Scan(&u.ID, &u.Deploy, &u.Length, &u.Folder, millis{&u.CreatedAt}, millis{&u.TouchedAt})
	return u, err
}

// AddUpload records an upload and returns it with its id and times set.
func (tx *Tx) AddUpload(u Upload) (Upload, error) {
	u.ID, u.CreatedAt, u.TouchedAt = tx.newID(), tx.Now, tx.Now
	return u, tx.exec("add upload", `INSERT INTO uploads (`+uploadColumns+`) VALUES (?, ?, ?, ?, ?, ?)`,
		u.ID, u.Deploy, u.Length, u.Folder, ms(u.CreatedAt), ms(u.TouchedAt))
}

// Upload returns an upload by id, with its deploy. To anyone but whoever began
// it, it does not exist; whether they still may deploy is the caller's to ask.
func (tx *Tx) Upload(id string, by slipway.Actor) (Upload, slipway.Deploy, error) {
	gone := slipway.Errorf(slipway.NotFound, "This upload is over or was discarded. Start it again.")
	u, err := one(tx, "upload", gone, scanUpload, `SELECT `+uploadColumns+` FROM uploads WHERE id = ?`, id)
	if err != nil {
		return u, slipway.Deploy{}, err
	}
	w, err := tx.LoadDeploy(u.Deploy)
	if err == nil && (w.By.User != by.User || w.By.Token != by.Token) {
		err = gone
	}
	return u, w, err
}

// UploadOf returns the upload of a deploy, and whether it has one.
func (tx *Tx) UploadOf(id slipway.DeployID) (Upload, bool, error) {
	return first(list(tx, "upload of deploy", scanUpload, `SELECT `+uploadColumns+` FROM uploads WHERE deploy = ?`, id))
}

// Uploads returns every upload, for the engine.
func (tx *Tx) Uploads() ([]Upload, error) {
	return list(tx, "uploads", scanUpload, `SELECT `+uploadColumns+` FROM uploads ORDER BY id`)
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
