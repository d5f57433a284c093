package store

import (
	"encoding/binary"
	"errors"

	"crypto/rand"

	"slipway/internal/slipway"
)

const deploymentColumns = `d.id, d.workspace, d.name, d.description, d.namespace, d.here,
	d.image, d.image_tag, d.runtime, d.version, d.mounted, d.dag_deploys, d.needs_image, d.before,
	d.image_role, d.cicd_enforced, d.guard_api, d.platform, d.dags_path, d.airflow_url,
	d.keep_days, d.keep_versions, d.creator, d.created_at, d.image_name, d.apply_command`

func deploymentFields(d *slipway.Deployment) []any {
	return []any{
		&d.ID, &d.Workspace, &d.Name, &d.Description, &d.Namespace, &d.Here,
		&d.Image, &d.ImageTag, &d.Runtime, &d.Version, &d.Mounted, &d.DAGDeploys, &d.NeedsImage, jsonText{&d.Before},
		&d.ImageRole, &d.CICDEnforced, &d.GuardAPI, &d.Platform, &d.DagsPath, &d.AirflowURL,
		&d.KeepDays, &d.KeepVersions, &d.Creator, millis{&d.CreatedAt}, &d.ImageName, &d.ApplyCommand,
	}
}

func scanDeployment(r row) (d slipway.Deployment, err error) {
	err = r.Scan(deploymentFields(&d)...)
	return d, err
}

func noDeployment(id slipway.DeploymentID) error {
	return slipway.Errorf(slipway.NotFound, "There is no Deployment %s.", id)
}

// namespaceTries is how often AddDeployment draws a namespace before it gives
// up; there are some fifty million.
const namespaceTries = 20

// AddDeployment records d and returns it with its id, namespace and time set.
func (tx *Tx) AddDeployment(d slipway.Deployment) (slipway.Deployment, error) {
	d.ID, d.CreatedAt = slipway.DeploymentID(tx.newID()), tx.Now
	taken, err := tx.count("deployments of this name",
		`SELECT COUNT(*) FROM deployments WHERE workspace = ? AND name = ? AND deleted_at = 0`, d.Workspace, d.Name)
	if err != nil {
		return d, err
	}
	if taken > 0 {
		return d, nameTaken(d.Name)
	}
	return tx.addIn(d, randomNamespace)
}

// addIn records d in a namespace that is free. What lies in one that is set
// aside is somebody else's.
func (tx *Tx) addIn(d slipway.Deployment, draw func() string) (slipway.Deployment, error) {
	for range namespaceTries {
		d.Namespace = draw()
		aside, err := tx.isAside(d.Namespace)
		if err == nil && !aside {
			err = tx.insertDeployment(d)
		}
		if !aside && !isUnique(err) {
			return d, err
		}
	}
	return d, errors.New("no free namespace")
}

func nameTaken(name string) error {
	return slipway.Errorf(slipway.Conflict, "There is a Deployment named %s in this Workspace already. Choose another name.", name)
}

func randomNamespace() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return slipway.Namespace(binary.LittleEndian.Uint64(b[:]))
}

func (tx *Tx) insertDeployment(d slipway.Deployment) error {
	return tx.exec("add deployment", `
		INSERT INTO deployments (id, workspace, name, description, namespace, here,
			image, image_tag, runtime, version, mounted, dag_deploys, needs_image, before,
			image_role, cicd_enforced, guard_api, platform, dags_path, airflow_url,
			keep_days, keep_versions, creator, created_at, image_name, apply_command)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		d.ID, d.Workspace, d.Name, d.Description, d.Namespace, d.Here,
		d.Image, d.ImageTag, d.Runtime, d.Version, d.Mounted, d.DAGDeploys, d.NeedsImage, beforeText(d),
		d.ImageRole, d.CICDEnforced, d.GuardAPI, d.Platform, d.DagsPath, d.AirflowURL,
		d.KeepDays, d.KeepVersions, d.Creator, ms(d.CreatedAt), d.ImageName, d.ApplyCommand)
}

func beforeText(d slipway.Deployment) string {
	if d.Before == nil {
		return ""
	}
	return asJSON(d.Before)
}

// Deployment returns a Deployment with by's role in its Workspace. To someone
// who is not a member it does not exist.
func (tx *Tx) Deployment(id slipway.DeploymentID, by slipway.Actor) (slipway.Deployment, slipway.Role, error) {
	var role slipway.Role
	scan := func(r row) (d slipway.Deployment, err error) {
		err = r.Scan(append(deploymentFields(&d), &role)...)
		return d, err
	}
	query, args := `SELECT `+deploymentColumns+`, `+roleIn("d.workspace")+` FROM deployments d WHERE d.id = ? AND d.deleted_at = 0`,
		[]any{by.User, id}
	if by.Token != "" {
		query = `SELECT ` + deploymentColumns + `, t.role FROM deployments d
			JOIN tokens t ON t.workspace = d.workspace AND COALESCE(t.deployment, d.id) = d.id
			WHERE ` + tokenWorks + ` AND d.id = ? AND d.deleted_at = 0`
		args = append(tx.worksArgs(by), id)
	}
	d, err := one(tx, "deployment", noDeployment(id), scan, query, args...)
	if err == nil && role == slipway.NoRole {
		err = noDeployment(id)
	}
	if err != nil {
		return slipway.Deployment{}, slipway.NoRole, err
	}
	return d, role, nil
}

// LoadDeployment returns a Deployment for the engine: nobody's role is asked.
func (tx *Tx) LoadDeployment(id slipway.DeploymentID) (slipway.Deployment, error) {
	return one(tx, "load deployment", noDeployment(id), scanDeployment,
		`SELECT `+deploymentColumns+` FROM deployments d WHERE d.id = ? AND d.deleted_at = 0`, id)
}

// Deployments returns the Deployments of a Workspace, by name. The caller has
// asked for the Workspace with a role.
func (tx *Tx) Deployments(w slipway.WorkspaceID) ([]slipway.Deployment, error) {
	return list(tx, "deployments", scanDeployment, `
		SELECT `+deploymentColumns+` FROM deployments d
		WHERE d.workspace = ? AND d.deleted_at = 0 ORDER BY d.name COLLATE NOCASE`, w)
}

// SeenDeployments returns the Deployments that by sees, by name.
func (tx *Tx) SeenDeployments(by slipway.Actor) ([]slipway.Deployment, error) {
	role, args := tx.seenBy(by)
	return list(tx, "seen deployments", scanDeployment, `
		SELECT `+deploymentColumns+` FROM deployments d JOIN workspaces w ON w.id = d.workspace
		WHERE d.deleted_at = 0 AND `+role+` > 0
			AND COALESCE((SELECT t.deployment FROM tokens t WHERE t.id = ?), d.id) = d.id
		ORDER BY d.name COLLATE NOCASE, d.id`, append(args, by.Token)...)
}

// AllDeployments returns every Deployment for the engine.
func (tx *Tx) AllDeployments() ([]slipway.Deployment, error) {
	return list(tx, "all deployments", scanDeployment, `SELECT `+deploymentColumns+` FROM deployments d WHERE d.deleted_at = 0 ORDER BY d.id`)
}

// SaveSettings keeps the settings of d, as Deployment.Edit has judged them.
func (tx *Tx) SaveSettings(d slipway.Deployment) error {
	err := tx.exec("save settings", `
		UPDATE deployments SET name = ?, description = ?, image_role = ?, cicd_enforced = ?, guard_api = ?,
			dags_path = ?, airflow_url = ?, platform = ?, keep_days = ?, keep_versions = ?, revision = revision + 1
		WHERE id = ?`,
		d.Name, d.Description, d.ImageRole, d.CICDEnforced, d.GuardAPI,
		d.DagsPath, d.AirflowURL, d.Platform, d.KeepDays, d.KeepVersions, d.ID)
	if isUnique(err) {
		return nameTaken(d.Name)
	}
	return err
}

// SaveState keeps the state that is wanted of d from now on.
func (tx *Tx) SaveState(d slipway.Deployment) error {
	return tx.exec("save state", `
		UPDATE deployments SET image = ?, image_name = ?, image_tag = ?, runtime = ?, version = ?, mounted = ?,
			dag_deploys = ?, needs_image = ?, before = ?, revision = revision + 1
		WHERE id = ?`,
		d.Image, d.ImageName, d.ImageTag, d.Runtime, d.Version, d.Mounted, d.DAGDeploys, d.NeedsImage, beforeText(d), d.ID)
}

// Revision returns the number that grows whenever something else is wanted of
// a Deployment.
func (tx *Tx) Revision(id slipway.DeploymentID) (int, error) {
	return one(tx, "revision", noDeployment(id), scanCount, `SELECT revision FROM deployments WHERE id = ? AND deleted_at = 0`, id)
}

// MarkDeleted makes a Deployment vanish for everyone; RemoveDeployment follows
// once its folders are gone.
func (tx *Tx) MarkDeleted(id slipway.DeploymentID) error {
	return tx.exec("mark deployment deleted", `UPDATE deployments SET deleted_at = ? WHERE id = ?`, ms(tx.Now), id)
}

// DeletedDeployments returns those whose folders are still to be removed.
func (tx *Tx) DeletedDeployments() ([]slipway.Deployment, error) {
	return list(tx, "deleted deployments", scanDeployment, `SELECT `+deploymentColumns+` FROM deployments d WHERE d.deleted_at > 0 ORDER BY d.id`)
}

// RemoveDeployment forgets a Deployment that was marked, and all that belonged
// to it but its audit trail.
func (tx *Tx) RemoveDeployment(id slipway.DeploymentID) error {
	return tx.exec("remove deployment", `DELETE FROM deployments WHERE id = ? AND deleted_at > 0`, id)
}
