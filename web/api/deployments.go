package api

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
)

// scene is a Deployment with what else the API says of it.
type scene struct {
	slipway.Deployment
	tail      slipway.Deployment // as it will be at the end of its queue
	workspace string             // its name
	health    slipway.Health
	reason    string
	target    string // where images are pushed to
}

// running returns the deploy of a queue that goes live now or is the next to:
// from the moment in which a deploy is finalized nobody takes the Deployment
// for healthy, until the deploy is live everywhere.
func running(queue []slipway.Turn) *slipway.Deploy {
	for _, t := range queue {
		if t.Deploy != nil {
			return t.Deploy
		}
	}
	return nil
}

// object returns what the CLI reads of a Deployment. It panics without some of
// the fields; those that describe resources, which this portal does not manage,
// are the smallest there are and never change.
func (v scene) object() object {
	o := object{
		"id": v.ID, "name": v.Name, "description": v.Description, "namespace": v.Namespace,
		"organizationId": slipway.OrganizationID, "organizationName": "Slipway", "workspaceId": v.Workspace, "workspaceName": v.workspace,
		"status": v.health, "statusReason": v.reason, "isDagDeployEnabled": v.tail.DAGDeploys, "isCicdEnforced": v.CICDEnforced,
		"isApiDeployGuarded": v.GuardAPI, "needsImageDeploy": v.NeedsImage,
		"runtimeVersion": v.Runtime, "astroRuntimeVersion": v.Runtime, "airflowVersion": slipway.Release(v.Runtime).Airflow(),
		"imageRepository": v.target, "imageTag": v.ImageTag, "image": v.ImageRef(),
		"createdAt": timeText(v.CreatedAt), "updatedAt": timeText(v.CreatedAt), "createdBy": object{"id": v.Creator}, "updatedBy": object{"id": v.Creator},

		"type": "STANDARD", "executor": "CELERY", "schedulerSize": "SMALL", "schedulerReplicas": 1,
		"isHighAvailability": false, "isDevelopmentMode": false, "defaultTaskPodCpu": "0.25", "defaultTaskPodMemory": "0.5Gi",
		"resourceQuotaCpu": "10", "resourceQuotaMemory": "20Gi",
		"workerQueues": []object{}, "environmentVariables": []object{}, "contactEmails": []string{},
	}
	if v.Mounted {
		o["currentDagTarballVersion"], o["dagTarballVersion"] = v.Version, v.Version
	}
	if v.AirflowURL != "" {
		_, address, _ := strings.Cut(strings.TrimSuffix(v.AirflowURL, "/"), "://") // the CLI adds https:// itself
		o["webServerUrl"], o["webServerAirflowApiUrl"] = address, address+"/api/v2"
	}
	return o
}

// deployments serves Deployments.
type deployments struct {
	*core
	deploys *deploys
}

// listDeployments serves GET …/deployments.
func (e *deployments) listDeployments(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	wanted := c.QueryParams()["workspaceIds"]
	var all []scene
	err := e.store.View(c.Request().Context(), func(tx *store.Tx) error {
		workspaces, err := tx.SeenWorkspaces(caller(c))
		if err != nil {
			return err
		}
		seen, err := tx.SeenDeployments(caller(c))
		for _, d := range seen {
			if len(wanted) > 0 && !slices.Contains(wanted, string(d.Workspace)) {
				continue
			}
			v, err := e.sceneOf(c, tx, d, workspaces)
			if err != nil {
				return err
			}
			all = append(all, v)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := sortByQuery(c, all, map[string]func(a, b scene) int{
		"name":        func(a, b scene) int { return compareNames(a.Name, b.Name) },
		"createdAt":   func(a, b scene) int { return a.CreatedAt.Compare(b.CreatedAt) },
		"updatedAt":   func(a, b scene) int { return a.CreatedAt.Compare(b.CreatedAt) },
		"workspaceId": func(a, b scene) int { return cmp.Compare(a.Workspace, b.Workspace) },
	}); err != nil {
		return err
	}
	return answerPage(c, "deployments", all, scene.object)
}

func deploymentID(c echo.Context) slipway.DeploymentID {
	return slipway.DeploymentID(c.Param("deployment"))
}

// showDeployment serves GET …/deployments/:deployment, and answers what changed
// one.
func (e *deployments) showDeployment(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	return e.answerDeployment(c, deploymentID(c))
}

func (e *deployments) answerDeployment(c echo.Context, id slipway.DeploymentID) error {
	var v scene
	err := e.store.View(c.Request().Context(), func(tx *store.Tx) error {
		d, _, err := tx.Deployment(id, caller(c))
		if err != nil {
			return err
		}
		workspaces, err := tx.SeenWorkspaces(caller(c))
		if err != nil {
			return err
		}
		v, err = e.sceneOf(c, tx, d, workspaces)
		return err
	})
	if err != nil {
		return err
	}
	return ok(c, v.object())
}

// showOptions serves GET …/deployment-options: the releases of the Runtime that
// an image may have. The CLI refuses every other one by itself.
func (e *deployments) showOptions(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	more := slices.Clone(e.cfg.Releases)
	err := e.store.View(c.Request().Context(), func(tx *store.Tx) error {
		seen, err := tx.Runtimes()
		for _, r := range seen {
			more = append(more, slipway.Release(r))
		}
		return err
	})
	if err != nil {
		return err
	}
	releases := []object{}
	for _, r := range slipway.Releases(more...) {
		releases = append(releases, object{"version": r, "airflowVersion": r.Airflow(), "channel": "stable"})
	}
	return ok(c, object{"runtimeReleases": releases})
}

// deploymentBody is what is taken of the object that the CLI sends. A field
// that is absent stays as it is.
type deploymentBody struct {
	WorkspaceID        slipway.WorkspaceID `json:"workspaceId"`
	Name               *string             `json:"name"`
	Description        *string             `json:"description"`
	IsDAGDeployEnabled *bool               `json:"isDagDeployEnabled"`
	IsCICDEnforced     *bool               `json:"isCicdEnforced"`
	IsAPIDeployGuarded *bool               `json:"isApiDeployGuarded"`
	IsMountedHere      *bool               `json:"isMountedHere"` // only when it is created
}

// settings returns those of d with what b brings.
func (b deploymentBody) settings(d slipway.Deployment) slipway.Settings {
	set := d.Settings
	setIfPresent(&set.Name, b.Name)
	setIfPresent(&set.Description, b.Description)
	setIfPresent(&set.CICDEnforced, b.IsCICDEnforced)
	setIfPresent(&set.GuardAPI, b.IsAPIDeployGuarded)
	return set
}

func setIfPresent[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// updateDeployment serves POST …/deployments/:deployment with the whole object.
// The flag of the CLI that leads here counts as the switch's tick.
func (e *deployments) updateDeployment(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	b, err := readBody[deploymentBody](c)
	if err != nil {
		return err
	}
	set, edit, turn, err := e.judged(c, b)
	if err != nil {
		return err
	}
	ctx, id, by := c.Request().Context(), deploymentID(c), caller(c)
	if turn {
		if _, err := e.engine.Switch(ctx, id, *b.IsDAGDeployEnabled, by, true); err != nil {
			return err
		}
	}
	if edit {
		if _, err := e.engine.Edit(ctx, id, by, set); err != nil {
			return err
		}
	}
	return e.answerDeployment(c, id)
}

// judged returns what b would change, all of it judged before any of it is done.
func (e *deployments) judged(c echo.Context, b deploymentBody) (set slipway.Settings, edit, turn bool, err error) {
	err = e.store.View(c.Request().Context(), func(tx *store.Tx) error {
		d, role, err := tx.Projected(deploymentID(c), caller(c))
		if err != nil {
			return err
		}
		if b.WorkspaceID != "" && b.WorkspaceID != d.Workspace {
			return slipway.Errorf(slipway.Invalid, "A Deployment cannot move to another Workspace: this one is in %s.", d.Workspace)
		}
		set = b.settings(d)
		edit = set != d.Settings
		turn = b.IsDAGDeployEnabled != nil && *b.IsDAGDeployEnabled != d.DAGDeploys
		if turn {
			if err := d.SwitchTo(!d.DAGDeploys, role, true); err != nil {
				return err
			}
		}
		if edit {
			_, err = d.Edit(role, set)
		}
		return err
	})
	return set, edit, turn, err
}

// createDeployment serves POST …/deployments.
func (e *deployments) createDeployment(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	b, err := readBody[deploymentBody](c)
	if err != nil {
		return err
	}
	d, err := b.newDeployment()
	if err != nil {
		return err
	}
	if d, err = e.engine.Create(c.Request().Context(), d, caller(c)); err != nil {
		return err
	}
	return e.answerDeployment(c, d.ID)
}

func (b deploymentBody) newDeployment() (slipway.Deployment, error) {
	name, here := "", true
	setIfPresent(&name, b.Name)
	setIfPresent(&here, b.IsMountedHere)
	if b.WorkspaceID == "" {
		return slipway.Deployment{}, slipway.Errorf(slipway.Invalid, "Say by workspaceId in which Workspace the Deployment is made.")
	}
	d, err := slipway.NewDeployment(b.WorkspaceID, name, here)
	if err != nil {
		return d, err
	}
	setIfPresent(&d.DAGDeploys, b.IsDAGDeployEnabled)
	return d.Edit(slipway.Operator, b.settings(d)) // engine.Create asks for the caller's role
}

// deleteDeployment serves DELETE …/deployments/:deployment. Its id is proof
// enough that it is meant: nobody types it by mistake.
func (e *deployments) deleteDeployment(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	var d slipway.Deployment
	err := e.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		d, _, err = tx.Deployment(deploymentID(c), caller(c))
		return err
	})
	if err != nil {
		return err
	}
	if err := e.engine.Delete(c.Request().Context(), d.ID, caller(c), d.Name); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// sceneOf reads a Deployment's surroundings.
func (e *deployments) sceneOf(c echo.Context, tx *store.Tx, d slipway.Deployment, workspaces []slipway.Workspace) (scene, error) {
	queue, err := tx.Queue(d.ID)
	if err != nil {
		return scene{}, err
	}
	v := scene{Deployment: d, tail: d.Projected(queue), target: e.deploys.pushTarget(c, d)}
	for _, w := range workspaces {
		if w.ID == d.Workspace {
			v.workspace = w.Name
		}
	}
	v.health, v.reason = d.Health(e.engine.Components(d.ID), running(queue), tx.Now)
	if len(queue) > 0 && v.health != slipway.Going { // only switches wait
		v.health, v.reason = slipway.Going, "A switch of DAG-only deploys waits for its turn."
	}
	return v, nil
}
