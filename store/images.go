package store

import (
	"time"

	"slipway/internal/slipway"
)

// KeepImage records an image as deployed to a Deployment or running in the
// Deployment.
func (tx *Tx) KeepImage(of slipway.DeploymentID, i slipway.Image) error {
	return tx.exec("keep image", `
		INSERT INTO images (deployment, digest, name, info, created_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET name = excluded.name, info = excluded.info, created_at = excluded.created_at`,
		of, i.Digest, i.Name, asJSON(i), ms(tx.Now))
}

// Image returns the record of an image of a Deployment, false for none.
func (tx *Tx) Image(of slipway.DeploymentID, digest string) (slipway.Image, bool, error) {
	return first(list(tx, "image", func(r row) (i slipway.Image, err error) {
		err = r.Scan(jsonText{&i})
		return i, err
	}, `SELECT info FROM images WHERE deployment = ? AND digest = ?`, of, digest))
}

// Images returns the retained images of a Deployment.
func (tx *Tx) Images(of slipway.DeploymentID) ([]slipway.Image, error) {
	return list(tx, "images", func(r row) (i slipway.Image, err error) {
		err = r.Scan(jsonText{&i})
		return i, err
	}, `SELECT info FROM images WHERE deployment = ? ORDER BY created_at, digest`, of)
}

// Runtimes returns the Runtime versions of the images in use by any Deployment,
// and of all retained images. Each is one step in an index, however many images
// there are.
func (tx *Tx) Runtimes() ([]string, error) {
	return list(tx, "runtimes", scanText, `
		WITH RECURSIVE used (runtime) AS (
			SELECT MIN(runtime) FROM deployments WHERE runtime > ''
			UNION ALL SELECT (SELECT MIN(d.runtime) FROM deployments d WHERE d.runtime > used.runtime) FROM used WHERE used.runtime IS NOT NULL),
		kept (runtime) AS (
			SELECT MIN(info ->> '$.Runtime') FROM images WHERE info ->> '$.Runtime' > ''
			UNION ALL SELECT (SELECT MIN(i.info ->> '$.Runtime') FROM images i WHERE i.info ->> '$.Runtime' > kept.runtime) FROM kept WHERE kept.runtime IS NOT NULL)
		SELECT runtime FROM used WHERE runtime IS NOT NULL UNION SELECT runtime FROM kept WHERE runtime IS NOT NULL`)
}

// Want records an image as the desired one of a Deployment without a deploy.
func (tx *Tx) Want(of slipway.DeploymentID, digest string) error {
	return tx.exec("want image", `
		UPDATE images SET replaced_at = 0, position = (SELECT last_position FROM deployments WHERE id = ?1)
		WHERE deployment = ?1 AND digest = ?2`, of, digest)
}

// heldImages are the images needed by a Deployment at any age: the desired one,
// the images of unfinished deploys, the images restored by a switch, and the
// newest ones by position.
const heldImages = `
	SELECT image AS digest FROM deployments WHERE id = ?1
	UNION SELECT COALESCE(before ->> '$.Image', '') FROM deployments WHERE id = ?1 AND before <> ''
	UNION SELECT COALESCE(after ->> '$.Image', '') FROM deploys INDEXED BY deploys_queue
		WHERE deployment = ?1 AND status IN ('queued', 'deploying')
	UNION SELECT COALESCE(after ->> '$.Image', '') FROM deploys INDEXED BY deploys_open
		WHERE deployment = ?1 AND status IN ('initialized', 'staged')
	UNION SELECT COALESCE(safe_switch ->> '$.From.Image', '') FROM deploys INDEXED BY deploys_open
		WHERE deployment = ?1 AND status IN ('initialized', 'staged') AND safe_switch <> ''
	UNION SELECT digest FROM (SELECT digest FROM images WHERE deployment = ?1 AND position > 0 ORDER BY position DESC LIMIT ?2)`

// ForgetImages deletes the records of images of d replaced before a time, and
// of images never desired and older than brought. The last images and all in
// heldImages stay.
func (tx *Tx) ForgetImages(d slipway.Deployment, before, brought time.Time) error {
	return tx.exec("forget images", `
		DELETE FROM images WHERE deployment = ?1 AND digest NOT IN (`+heldImages+`)
			AND (replaced_at > 0 AND replaced_at < ?3 OR position = 0 AND created_at < ?4)`,
		d.ID, d.KeepLast(), ms(before), ms(brought))
}

// ImageRepositories returns the digests of the retained images, by repository.
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

// ImageFiles describes the dags folder of an image. Of very many files, only
// the first have an entry in Files.
type ImageFiles struct {
	Folder string
	Count  int
	Bytes  int64
	Files  []ImageFile
	Unread string `json:",omitempty"` // reason why the folder could not be read; "" for none
}

// SetImageFiles saves the content of the dags folder of a deploy's image.
func (tx *Tx) SetImageFiles(id slipway.DeployID, f ImageFiles) error {
	return tx.exec("set image files", `
		INSERT INTO image_files (deploy, files) VALUES (?, ?) ON CONFLICT DO UPDATE SET files = excluded.files`, id, asJSON(f))
}

// ImageFiles returns the value of SetImageFiles, false for none.
func (tx *Tx) ImageFiles(id slipway.DeployID) (ImageFiles, bool, error) {
	return first(list(tx, "image files", func(r row) (f ImageFiles, err error) {
		err = r.Scan(jsonText{&f})
		return f, err
	}, `SELECT files FROM image_files WHERE deploy = ?`, id))
}

// TagDeploy returns the deploy with a tag of a Deployment, false for none.
func (tx *Tx) TagDeploy(of slipway.DeploymentID, tag string) (slipway.Deploy, bool, error) {
	return first(list(tx, "deploy of tag", scanDeploy, `
		SELECT `+deployColumns+` FROM deploys w WHERE w.deployment = ? AND w.tag = ? AND w.tag <> ''`, of, tag))
}

// DeploymentIn returns the Deployment of a namespace, for the engine.
func (tx *Tx) DeploymentIn(namespace string) (slipway.Deployment, error) {
	return one(tx, "deployment in namespace", slipway.Errorf(slipway.NotFound, "There is no Deployment with the namespace %s.", namespace), scanDeployment,
		`SELECT `+deploymentColumns+` FROM deployments d WHERE d.namespace = ? AND d.deleted_at = 0`, namespace)
}

// SetApplyCommand names the command on this machine to apply an image of d, "" for
// none, and saves d.Updater.
func (tx *Tx) SetApplyCommand(d slipway.Deployment, name string) error {
	return tx.exec("set apply command", `UPDATE deployments SET apply_command = ?, updated_at = ?, updater = ? WHERE id = ?`, name, ms(tx.Now), d.Updater, d.ID)
}

// WakeAgents makes the agents of a Deployment load the unchanged desired state
// again.
func (tx *Tx) WakeAgents(of slipway.DeploymentID) error {
	return tx.exec("want anew", `UPDATE deployments SET revision = revision + 1 WHERE id = ?`, of)
}
