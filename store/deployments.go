package store

import (
	"encoding/binary"
	"errors"
	"time"

	"crypto/rand"

	"slipway/internal/slipway"
)

// deployments is the table of Deployments.
var deployments = table[slipway.Deployment]{"deployments", "d", []column[slipway.Deployment]{
	{"id", fixed, func(d *slipway.Deployment) any { return &d.ID }},
	{"workspace", fixed, func(d *slipway.Deployment) any { return &d.Workspace }},
	{"name", settings, func(d *slipway.Deployment) any { return &d.Name }},
	{"description", settings, func(d *slipway.Deployment) any { return &d.Description }},
	{"namespace", fixed, func(d *slipway.Deployment) any { return &d.Namespace }},
	{"here", fixed, func(d *slipway.Deployment) any { return &d.Local }},
	{"image", desired, func(d *slipway.Deployment) any { return &d.Image }},
	{"image_tag", desired, func(d *slipway.Deployment) any { return &d.ImageTag }},
	{"runtime", desired, func(d *slipway.Deployment) any { return &d.Runtime }},
	{"version", desired, func(d *slipway.Deployment) any { return &d.Version }},
	{"mounted", desired, func(d *slipway.Deployment) any { return &d.Mounted }},
	{"dag_deploys", desired, func(d *slipway.Deployment) any { return &d.DAGDeploys }},
	{"needs_image", desired, func(d *slipway.Deployment) any { return &d.NeedsImage }},
	{"before", desired, func(d *slipway.Deployment) any { return jsonText{&d.Before} }},
	{"image_to_run", desired, func(d *slipway.Deployment) any { return &d.ToRun }},
	{"image_role", settings, func(d *slipway.Deployment) any { return &d.ImageRole }},
	{"cicd_enforced", settings, func(d *slipway.Deployment) any { return &d.CICDEnforced }},
	{"guard_api", settings, func(d *slipway.Deployment) any { return &d.GuardAPI }},
	{"platform", settings, func(d *slipway.Deployment) any { return &d.Platform }},
	{"dags_path", settings, func(d *slipway.Deployment) any { return &d.DagsPath }},
	{"airflow_url", settings, func(d *slipway.Deployment) any { return &d.AirflowURL }},
	{"keep_days", settings, func(d *slipway.Deployment) any { return &d.KeepDays }},
	{"keep_versions", settings, func(d *slipway.Deployment) any { return &d.KeepVersions }},
	{"creator", fixed, func(d *slipway.Deployment) any { return &d.Creator }},
	{"created_at", fixed, func(d *slipway.Deployment) any { return millis{&d.CreatedAt} }},
	{"image_name", desired, func(d *slipway.Deployment) any { return &d.ImageName }},
	{"updated_at", fixed, func(d *slipway.Deployment) any { return millis{&d.UpdatedAt} }},
	{"updater", fixed, func(d *slipway.Deployment) any { return &d.Updater }},
	{"apply_command", fixed, func(d *slipway.Deployment) any { return &d.ApplyCommand }},
}}

var (
	deploymentColumns = deployments.selected()
	scanDeployment    = deployments.scan
)

func noDeployment(id slipway.DeploymentID) error {
	return slipway.Errorf(slipway.NotFound, "There is no Deployment %s.", id)
}

// namespaceTries is the number of namespaces drawn by AddDeployment before
// giving up; there are some fifty million.
const namespaceTries = 20

// AddDeployment records d and returns d with id, namespace and time.
func (tx *Tx) AddDeployment(d slipway.Deployment) (slipway.Deployment, error) {
	d.ID, d.CreatedAt, d.UpdatedAt, d.Updater = slipway.DeploymentID(tx.newID()), tx.Now, tx.Now, d.Creator
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

// addIn records d in a free namespace. An orphaned namespace is not free: the
// files in one belong to somebody else.
func (tx *Tx) addIn(d slipway.Deployment, draw func() string) (slipway.Deployment, error) {
	for range namespaceTries {
		d.Namespace = draw()
		orphaned, err := tx.isOrphaned(d.Namespace)
		if err == nil && !orphaned {
			err = tx.insertDeployment(d)
		}
		if !orphaned && !isUnique(err) {
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
	query, values := deployments.insert(&d)
	return tx.exec("add deployment", query, values...)
}

// Deployment returns a Deployment with by's role in the Workspace; NotFound for
// everybody who is not a member.
func (tx *Tx) Deployment(id slipway.DeploymentID, by slipway.Actor) (slipway.Deployment, slipway.Role, error) {
	var role slipway.Role
	scan := func(r row) (d slipway.Deployment, err error) {
		err = r.Scan(append(deployments.fields(&d), &role)...)
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
		WHERE d.workspace = ? AND d.deleted_at = 0 ORDER BY d.name COLLATE NOCASE, d.id`, w)
}

// ListedDeployment is a Deployment with what decides its place in a list.
type ListedDeployment struct {
	slipway.Deployment
	Running bool           // a deploy is going live
	LiveAt  time.Time      // of the last deploy that went live; zero for none
	Last    slipway.Status // of the newest deploy; "" for none
}

// ListDeployments returns the Deployments of a Workspace in which each of the words
// is a part of a name, in one query. The caller has asked for the Workspace with a
// role.
func (tx *Tx) ListDeployments(w slipway.WorkspaceID, words []string) ([]ListedDeployment, error) {
	var c conditions
	c.add("d.workspace = ? AND d.deleted_at = 0", w)
	for _, word := range words {
		c.search(word, "d.name", "d.namespace", "d.id", "d.description", "d.image_name", "d.image_tag", "d.runtime")
	}
	scan := func(r row) (l ListedDeployment, err error) {
		err = r.Scan(append(deployments.fields(&l.Deployment), &l.Running, millis{&l.LiveAt}, &l.Last)...)
		return l, err
	}
	return list(tx, "listed deployments", scan, `
		SELECT `+deploymentColumns+`,
			EXISTS (SELECT 1 FROM deploys w WHERE w.deployment = d.id AND w.status = 'deploying'),
			COALESCE((SELECT w.live_at + 0 FROM deploys w INDEXED BY deploys_live_at
				WHERE w.deployment = d.id AND w.live_at > 0 ORDER BY w.live_at + 0 DESC LIMIT 1), 0),
			COALESCE((SELECT w.status FROM deploys w WHERE w.deployment = d.id ORDER BY w.number DESC LIMIT 1), '')
		FROM deployments d`+c.where(), c.args...)
}

// DeploymentFilter selects Deployments of a list; the zero value selects all.
type DeploymentFilter struct{ Workspaces, IDs, Names []string }

// FindDeployments returns a part of the Deployments visible to by, by name, and
// the number of all that f and l select. l sorts by name, createdAt, updatedAt
// and workspaceId.
func (tx *Tx) FindDeployments(by slipway.Actor, f DeploymentFilter, l Listing) ([]slipway.Deployment, int, error) {
	reach, everything, err := tx.Reaches(by)
	if err != nil {
		return nil, 0, err
	}
	var c conditions
	c.add("d.deleted_at = 0")
	if !everything {
		c.within("d.workspace", reach)
	}
	if len(reach) == 1 && reach[0].Deployment != "" {
		c.add("d.id = ?", reach[0].Deployment)
	}
	c.among("d.workspace", f.Workspaces)
	c.among("d.id", f.IDs)
	c.among("d.name", f.Names)
	c.search(l.Search, "d.id", "d.name", "d.description", "d.namespace")
	order := l.order(map[string]string{
		"name": "d.name COLLATE NOCASE", "createdAt": "d.created_at", "updatedAt": "d.updated_at", "workspaceId": "d.workspace",
	}, "d.name COLLATE NOCASE, d.id")
	return listed(tx, "seen deployments", scanDeployment, deploymentColumns, "FROM deployments d", c, order, l)
}

// AllDeployments returns every Deployment for the engine.
func (tx *Tx) AllDeployments() ([]slipway.Deployment, error) {
	return list(tx, "all deployments", scanDeployment, `SELECT `+deploymentColumns+` FROM deployments d WHERE d.deleted_at = 0 ORDER BY d.id`)
}

// SaveSettings saves the settings of d, as checked by Deployment.Edit, and
// d.Updater.
func (tx *Tx) SaveSettings(d slipway.Deployment) error {
	set, values := deployments.update(settings, &d)
	err := tx.exec("save settings", `UPDATE deployments SET `+set+`, updated_at = ?, updater = ?, revision = revision + 1 WHERE id = ?`,
		append(values, ms(tx.Now), d.Updater, d.ID)...)
	if isUnique(err) {
		return nameTaken(d.Name)
	}
	return err
}

// SaveState saves the desired state of d, and d.Updater.
func (tx *Tx) SaveState(d slipway.Deployment) error {
	set, values := deployments.update(desired, &d)
	return tx.exec("save state", `UPDATE deployments SET `+set+`, updated_at = ?, updater = ?, revision = revision + 1 WHERE id = ?`,
		append(values, ms(tx.Now), d.Updater, d.ID)...)
}

// SaveToRun saves d.ToRun, and d.Updater. For agents nothing has changed.
func (tx *Tx) SaveToRun(d slipway.Deployment) error {
	return tx.exec("save image to run", `UPDATE deployments SET image_to_run = ?, updated_at = ?, updater = ? WHERE id = ?`, d.ToRun, ms(tx.Now), d.Updater, d.ID)
}

// Revision returns a number that grows with each change of a Deployment's
// settings or desired state.
func (tx *Tx) Revision(id slipway.DeploymentID) (int, error) {
	return one(tx, "revision", noDeployment(id), scanCount, `SELECT revision FROM deployments WHERE id = ? AND deleted_at = 0`, id)
}

// MarkDeleted hides a Deployment from everyone; RemoveDeployment follows once
// its folders are gone.
func (tx *Tx) MarkDeleted(id slipway.DeploymentID) error {
	return tx.exec("mark deployment deleted", `UPDATE deployments SET deleted_at = ? WHERE id = ?`, ms(tx.Now), id)
}

// DeletedDeployments returns the deleted Deployments whose folders are still to
// be removed.
func (tx *Tx) DeletedDeployments() ([]slipway.Deployment, error) {
	return list(tx, "deleted deployments", scanDeployment, `SELECT `+deploymentColumns+` FROM deployments d WHERE d.deleted_at > 0 ORDER BY d.id`)
}

// RemoveDeployment deletes a Deployment marked as deleted, with all its records
// except the audit trail.
func (tx *Tx) RemoveDeployment(id slipway.DeploymentID) error {
	return tx.exec("remove deployment", `DELETE FROM deployments WHERE id = ? AND deleted_at > 0`, id)
}
