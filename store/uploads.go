package store

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"slipway/internal/slipway"
)

// Upload is an archive for a deploy, arriving or complete.
type Upload struct {
	ID        string // name of the file and id of the tus resource: the deploy's id, with a suffix for an image
	Deploy    slipway.DeployID
	Image     bool   // an image; else DAGs
	Length    int64  // bytes of the whole archive
	Root      string // folder of the archive that becomes dags, as named by the sender; "" to find one
	CreatedAt time.Time
	TouchedAt time.Time // time of the last received byte, within a minute
	ArrivedAt time.Time // time of completion; zero until then
}

const uploadColumns = `id, deploy, image, length, root, created_at, touched_at, arrived_at`

func scanUpload(r row) (u Upload, err error) {
	err = r.Scan(&u.ID, &u.Deploy, &u.Image, &u.Length, &u.Root, millis{&u.CreatedAt}, millis{&u.TouchedAt}, millis{&u.ArrivedAt})
	return u, err
}

// ofImage ends the id of an upload of an image.
const ofImage = "-image"

// AddUpload records an upload and returns the upload with id and times.
func (tx *Tx) AddUpload(u Upload) (Upload, error) {
	u.ID, u.CreatedAt, u.TouchedAt = string(u.Deploy), tx.Now, tx.Now
	if u.Image {
		u.ID += ofImage
	}
	return u, tx.exec("add upload", `INSERT INTO uploads (`+uploadColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		u.ID, u.Deploy, u.Image, u.Length, u.Root, ms(u.CreatedAt), ms(u.TouchedAt), ms(u.ArrivedAt))
}

// Upload returns an upload by id, with the deploy; NotFound for everyone but
// the sender. The caller must check that the sender may still deploy.
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

// ArrivedUpload returns the deploy of a removed upload if the upload was
// completed after since, for the sender only.
func (tx *Tx) ArrivedUpload(id string, by slipway.Actor, since time.Time) (slipway.Deploy, error) {
	deploy, image := strings.CutSuffix(id, ofImage)
	w, err := tx.LoadDeploy(slipway.DeployID(deploy))
	if err != nil && !errors.Is(err, slipway.ErrNotFound) {
		return w, err
	}
	arrived := w.UploadedAt
	if image {
		arrived = w.StagedAt // the file of an image stays until then
	}
	if err != nil || w.By.User != by.User || w.By.Token != by.Token || !arrived.After(since) {
		return slipway.Deploy{}, errUploadGone
	}
	return w, nil
}

// UploadOf returns the DAG upload of a deploy, false for none.
func (tx *Tx) UploadOf(id slipway.DeployID) (Upload, bool, error) {
	return first(list(tx, "upload of deploy", scanUpload, `SELECT `+uploadColumns+` FROM uploads WHERE deploy = ? AND image = 0`, id))
}

// UploadsFor returns the uploads of a deploy: the image's, then the DAGs'.
func (tx *Tx) UploadsFor(id slipway.DeployID) ([]Upload, error) {
	return list(tx, "uploads of deploy", scanUpload, `SELECT `+uploadColumns+` FROM uploads WHERE deploy = ? ORDER BY image DESC`, id)
}

// UploadArrived records the completion of an upload.
func (tx *Tx) UploadArrived(id string) error {
	return tx.exec("upload arrived", `UPDATE uploads SET touched_at = ?1, arrived_at = IIF(arrived_at = 0, ?1, arrived_at) WHERE id = ?2`, ms(tx.Now), id)
}

// RecordBytes returns the bytes of the records that grow with an upload: the list of
// files, and the list of blocks.
func (tx *Tx) RecordBytes(id slipway.DeployID) (int64, error) {
	return one(tx, "size of records", nil, func(r row) (n int64, err error) {
		err = r.Scan(&n)
		return n, err
	}, `
		SELECT
			COALESCE((SELECT octet_length(files) + octet_length(report) FROM staged WHERE deploy = ?1), 0) +
			COALESCE((SELECT octet_length(blocks) FROM blobs WHERE deploy = ?1), 0)`, id)
}

// Arrived returns the deploys of a Deployment with work to stage: a complete
// upload, an image to inspect, or a safe switch to prepare. The order is by
// arrival.
func (tx *Tx) Arrived(of slipway.DeploymentID) ([]slipway.Deploy, error) {
	return list(tx, "arrived uploads", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w INDEXED BY deploys_open
		WHERE w.deployment = ? AND w.status IN ('initialized', 'staged') AND w.status = 'initialized' AND (
			EXISTS (SELECT 1 FROM uploads u WHERE u.deploy = w.id AND u.arrived_at > 0 AND (u.image OR w.wants_dags)) OR
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

// TouchUpload records the arrival of bytes.
func (tx *Tx) TouchUpload(id string) error {
	return tx.exec("touch upload", `UPDATE uploads SET touched_at = ? WHERE id = ?`, ms(tx.Now), id)
}

// Block is a block of a Blob.
type Block struct {
	ID     string
	Size   int64
	SHA256 string // lower-case hex; "" until the list of blocks came
}

// Blob is the archive of a deploy, as received by an upload address.
type Blob struct {
	Deploy slipway.DeployID
	Size   int64
	SHA256 string // lower-case hex
	MD5    string // base64; "" where nobody asked for one
	Blocks []Block
}

// KeepBlob records the archive of a deploy, and deletes the blocks of archives
// that no request may repeat any more.
func (tx *Tx) KeepBlob(b Blob) error {
	err := tx.exec("drop blocks", `
		UPDATE blobs INDEXED BY blobs_kept SET blocks = 'null' WHERE blocks <> 'null' AND
			NOT EXISTS (SELECT 1 FROM deploys w WHERE w.id = blobs.deploy AND w.status IN ('initialized', 'staged'))`)
	if err != nil {
		return err
	}
	return tx.exec("keep blob", `
		INSERT INTO blobs (deploy, size, sha256, md5, blocks) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET size = excluded.size, sha256 = excluded.sha256, md5 = excluded.md5, blocks = excluded.blocks`,
		b.Deploy, b.Size, b.SHA256, b.MD5, asJSON(runsOf(b.Blocks)))
}

// Blob returns the archive of a deploy without Blocks, false for none.
func (tx *Tx) Blob(of slipway.DeployID) (Blob, bool, error) {
	return first(list(tx, "blob", func(r row) (b Blob, err error) {
		err = r.Scan(&b.Deploy, &b.Size, &b.SHA256, &b.MD5)
		return b, err
	}, `SELECT deploy, size, sha256, md5 FROM blobs WHERE deploy = ?`, of))
}

// Blocks returns the blocks of a deploy's archive, nil for none.
func (tx *Tx) Blocks(of slipway.DeployID) ([]Block, error) {
	runs, _, err := first(list(tx, "blocks", func(r row) (runs []blockRun, err error) {
		err = r.Scan(jsonText{&runs})
		return runs, err
	}, `SELECT blocks FROM blobs WHERE deploy = ?`, of))
	return blocksOf(runs), err
}

// blockRun is a block in a record, once or repeated. A later run of the same block
// has no Block but the place of the first run: a list of 50,000 blocks may name the
// same few again and again.
type blockRun struct {
	Block
	Again int `json:",omitempty"` // place of the first run, from 1; 0 for the first run itself
	Times int `json:",omitempty"` // 0 for once
}

// MarshalJSON leaves the empty Block of a later run out.
func (r blockRun) MarshalJSON() ([]byte, error) {
	if r.Again > 0 {
		return json.Marshal([]int{r.Again, r.Times})
	}
	type plain blockRun
	return json.Marshal(plain(r))
}

// UnmarshalJSON is the reverse of MarshalJSON.
func (r *blockRun) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '[' {
		var later [2]int
		err := json.Unmarshal(b, &later)
		r.Again, r.Times = later[0], later[1]
		return err
	}
	type plain blockRun
	return json.Unmarshal(b, (*plain)(r))
}

// runsOf returns a list of blocks as runs.
func runsOf(all []Block) (runs []blockRun) {
	places := map[string]int{} // of first runs, by id
	for i, b := range all {
		switch at, known := places[b.ID]; {
		case i > 0 && all[i-1].ID == b.ID:
			last := &runs[len(runs)-1]
			last.Times = max(last.Times, 1) + 1
		case known:
			runs = append(runs, blockRun{Again: at})
		default:
			runs = append(runs, blockRun{Block: b})
			places[b.ID] = len(runs)
		}
	}
	return runs
}

// blocksOf is the reverse of runsOf.
func blocksOf(runs []blockRun) (all []Block) {
	for _, r := range runs {
		b := r.Block
		if r.Again > 0 && r.Again <= len(runs) {
			b = runs[r.Again-1].Block
		}
		for range max(r.Times, 1) {
			all = append(all, b)
		}
	}
	return all
}

// DropUpload deletes the record of an upload; the caller removes the file.
func (tx *Tx) DropUpload(id string) error {
	return tx.exec("drop upload", `DELETE FROM uploads WHERE id = ?`, id)
}

// Report tells what of an upload is deployed, and names the files left out.
type Report struct {
	LeftOut []LeftOut `json:",omitempty"`
	Outside []string  `json:",omitempty"` // project files other than DAGs: only an image deploy brings them
	Content string    `json:",omitempty"` // slipway.ContentSum of the files as uploaded
}

// LeftOut is an ignored file or folder, with the pattern.
type LeftOut struct{ Name, Why string }

// SetStaged saves the files of an upload until the turn of the deploy. files
// has the encoding of package deploy.
func (tx *Tx) SetStaged(id slipway.DeployID, files []byte, r Report) error {
	return tx.exec("set staged", `
		INSERT INTO staged (deploy, files, report) VALUES (?, ?, ?)
		ON CONFLICT (deploy) DO UPDATE SET files = excluded.files, report = excluded.report`, id, files, asJSON(r))
}

// StagedFiles returns the files of SetStaged, nil for none.
func (tx *Tx) StagedFiles(id slipway.DeployID) ([]byte, error) {
	b, _, err := first(list(tx, "staged files", func(r row) (b []byte, err error) {
		err = r.Scan(&b)
		return b, err
	}, `SELECT files FROM staged WHERE deploy = ?`, id))
	return b, err
}

// StagedReport returns the report of SetStaged.
func (tx *Tx) StagedReport(id slipway.DeployID) (Report, error) {
	rep, _, err := first(list(tx, "staged report", func(r row) (rep Report, err error) {
		err = r.Scan(jsonText{&rep})
		return rep, err
	}, `SELECT report FROM staged WHERE deploy = ?`, id))
	return rep, err
}

// DropStaged deletes the staged files of a deploy once the version is complete
// or the deploy has finished. The report stays for the pages.
func (tx *Tx) DropStaged(id slipway.DeployID) error {
	return tx.exec("drop staged", `UPDATE staged SET files = x'' WHERE deploy = ?`, id)
}
