package store

import (
	"time"

	"slipway/internal/slipway"
)

// KeepImage notes that an image was brought to a Deployment, or runs there.
func (tx *Tx) KeepImage(of slipway.DeploymentID, i slipway.Image) error {
	return tx.exec("keep image", `
		INSERT INTO images (deployment, digest, name, info, created_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET name = excluded.name, info = excluded.info, created_at = excluded.created_at`,
		of, i.Digest, i.Name, asJSON(i), ms(tx.Now))
}

// Image returns what is known of an image of a Deployment, and whether it is
// kept.
func (tx *Tx) Image(of slipway.DeploymentID, digest string) (slipway.Image, bool, error) {
	return first(list(tx, "image", func(r row) (i slipway.Image, err error) {
		err = r.Scan(jsonText{&i})
		return i, err
	}, `SELECT info FROM images WHERE deployment = ? AND digest = ?`, of, digest))
}

// Images returns the images of a Deployment that are kept.
func (tx *Tx) Images(of slipway.DeploymentID) ([]slipway.Image, error) {
	return list(tx, "images", func(r row) (i slipway.Image, err error) {
		err = r.Scan(jsonText{&i})
		return i, err
	}, `SELECT info FROM images WHERE deployment = ? ORDER BY created_at, digest`, of)
}

// Runtimes returns the Runtime versions of the images that any Deployment runs,
// and of those that deploys brought and that are still known.
func (tx *Tx) Runtimes() ([]string, error) {
	return list(tx, "runtimes", scanText, `
		SELECT runtime FROM deployments WHERE runtime <> ''
		UNION SELECT info ->> '$.Runtime' FROM images WHERE info ->> '$.Runtime' <> ''`)
}

// Want notes that an image of a Deployment is the wanted one although no deploy
// made it so.
func (tx *Tx) Want(of slipway.DeploymentID, digest string) error {
	return tx.exec("want image", `
		UPDATE images SET replaced_at = 0, position = (SELECT last_position FROM deployments WHERE id = ?1)
		WHERE deployment = ?1 AND digest = ?2`, of, digest)
}

// heldImages are those that a Deployment needs whatever their age: the wanted
// one, those of deploys that have not ended, and what a switch restores.
const heldImages = `
	SELECT image AS digest FROM deployments WHERE id = ?1
	UNION SELECT COALESCE(before ->> '$.Image', '') FROM deployments WHERE id = ?1 AND before <> ''
	UNION SELECT COALESCE(after ->> '$.Image', '') FROM deploys INDEXED BY deploys_queue
		WHERE deployment = ?1 AND status IN ('queued', 'deploying')
	UNION SELECT COALESCE(after ->> '$.Image', '') FROM deploys INDEXED BY deploys_unfinished
		WHERE deployment = ?1 AND status IN ('initialized', 'staged')
	UNION SELECT COALESCE(safe_switch ->> '$.From.Image', '') FROM deploys INDEXED BY deploys_unfinished
		WHERE deployment = ?1 AND status IN ('initialized', 'staged') AND safe_switch <> ''
	UNION SELECT digest FROM (SELECT digest FROM images WHERE deployment = ?1 AND position > 0 ORDER BY position DESC LIMIT ?2)`

// ForgetImages forgets the images of d that were replaced before a time, and
// those that were brought before another and never wanted, but for the last ones
// and those that something needs.
func (tx *Tx) ForgetImages(d slipway.Deployment, before, brought time.Time) error {
	return tx.exec("forget images", `
		DELETE FROM images WHERE deployment = ?1 AND digest NOT IN (`+heldImages+`)
			AND (replaced_at > 0 AND replaced_at < ?3 OR position = 0 AND created_at < ?4)`,
		d.ID, d.KeepLast(), ms(before), ms(brought))
}

// ImageRepositories returns the digests of the images that are kept, by
// repository.
func (tx *Tx) ImageRepositories() (map[string][]string, error) {
	all := map[string][]string{}
	_, err := list(tx, "image repositories", func(r row) (none struct{}, err error) {
		var name, digest string
		err = r.Scan(&name, &digest)
		all[name] = append(all[name], digest)
		return none, err
	}, `SELECT DISTINCT i.name, i.digest FROM images i JOIN deployments d ON d.id = i.deployment AND d.deleted_at = 0 ORDER BY 1, 2`)
	return all, err
}

// ImageFile is a file in the dags folder of an image.
type ImageFile struct {
	Path string
	Size int64
	Link string `json:",omitempty"`
}

// ImageFiles is what the dags folder of an image holds. Where there are very
// many, only the first are named.
type ImageFiles struct {
	Folder string
	Count  int
	Bytes  int64
	Files  []ImageFile
	Unread string `json:",omitempty"` // why it could not be read; "" when it was
}

// SetImageFiles keeps what the dags folder of a deploy's image holds.
func (tx *Tx) SetImageFiles(id slipway.DeployID, f ImageFiles) error {
	return tx.exec("set image files", `
		INSERT INTO image_files (deploy, files) VALUES (?, ?) ON CONFLICT DO UPDATE SET files = excluded.files`, id, asJSON(f))
}

// ImageFiles returns what SetImageFiles kept, and whether it did.
func (tx *Tx) ImageFiles(id slipway.DeployID) (ImageFiles, bool, error) {
	return first(list(tx, "image files", func(r row) (f ImageFiles, err error) {
		err = r.Scan(jsonText{&f})
		return f, err
	}, `SELECT files FROM image_files WHERE deploy = ?`, id))
}

// TagDeploy returns the deploy that a tag of a Deployment is kept for, and
// whether there is one.
func (tx *Tx) TagDeploy(of slipway.DeploymentID, tag string) (slipway.Deploy, bool, error) {
	return first(list(tx, "deploy of tag", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w WHERE w.deployment = ? AND w.tag = ? AND w.tag <> ''`, of, tag))
}

// DeploymentIn returns the Deployment whose namespace is given, for the engine.
func (tx *Tx) DeploymentIn(namespace string) (slipway.Deployment, error) {
	return one(tx, "deployment in namespace", slipway.Errorf(slipway.NotFound, "There is no Deployment with the namespace %s.", namespace), scanDeployment,
		`SELECT `+deploymentColumns+` FROM deployments d WHERE d.namespace = ? AND d.deleted_at = 0`, namespace)
}

// SetApplyCommand names what this machine runs to apply an image of a
// Deployment; "" for nothing.
func (tx *Tx) SetApplyCommand(of slipway.DeploymentID, name string) error {
	return tx.exec("set apply command", `UPDATE deployments SET apply_command = ? WHERE id = ?`, name, of)
}

// Rewant has agents of a Deployment ask anew, although its state is as before.
func (tx *Tx) Rewant(of slipway.DeploymentID) error {
	return tx.exec("want anew", `UPDATE deployments SET revision = revision + 1 WHERE id = ?`, of)
}
