package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
)

// deploymentResource is a Deployment with the related values for one answer.
type deploymentResource struct {
	slipway.Deployment
	projected slipway.Deployment // at the end of the queue
	workspace string             // name of the Workspace
	health    slipway.Health
	reason    string
	target    string // repository for pushes of images
}

// object returns the Deployment in JSON. The CLI panics without some of the
// fields. The portal manages no CPU, memory or queues: for these fields the
// answer has givenFields.
func (v deploymentResource) object() object {
	o := object{
		"id": v.ID, "name": v.Name, "description": v.Description, "namespace": v.Namespace,
		"organizationId": slipway.OrganizationID, "organizationName": "Slipway", "workspaceId": v.Workspace, "workspaceName": v.workspace,
		"status": v.health.Astro(), "health": v.health, "statusReason": v.reason, "isDagDeployEnabled": v.projected.DAGDeploys, "isCicdEnforced": v.CICDEnforced,
		"isApiDeployGuarded": v.GuardAPI, "needsImageDeploy": v.NeedsImage, "imageToRun": v.imageToRun(),
		"runtimeVersion": v.Runtime, "astroRuntimeVersion": v.Runtime, "airflowVersion": slipway.Release(v.Runtime).Airflow(),
		"imageRepository": v.target, "imageTag": v.ImageTag, "image": v.ImageRef(),
		"createdAt": timeText(v.CreatedAt), "updatedAt": timeText(v.UpdatedAt), "createdBy": object{"id": v.Creator}, "updatedBy": object{"id": v.Updater},
	}
	maps.Copy(o, givenFields())
	if v.Mounted {
		o["currentDagTarballVersion"], o["dagTarballVersion"] = v.Version, v.Version
	}
	if v.AirflowURL != "" {
		_, address, _ := strings.Cut(strings.TrimSuffix(v.AirflowURL, "/"), "://") // the CLI adds https://
		o["webServerUrl"], o["webServerAirflowApiUrl"] = address, address+"/api/v2"
	}
	return o
}

// imageToRun is the image that Airflow is not known to run, by digest; "" for none.
func (v deploymentResource) imageToRun() string {
	if v.ToRun == "" {
		return ""
	}
	return v.ImageRef()
}

// deployments serves the operations on Deployments.
type deployments struct {
	*core
	deploys *deploys
}

// listDeployments serves GET …/deployments: the visible Deployments that pass the
// filters.
func (e *deployments) listDeployments(c echo.Context) error {
	f, err := filtersOf(c, "workspaceIds", "deploymentIds", "names", "search", "sorts")
	if err != nil {
		return err
	}
	l, err := listingOf(c, "name", "createdAt", "updatedAt", "workspaceId")
	if err != nil {
		return err
	}
	var all []deploymentResource
	var total int
	err = e.store.View(c.Request().Context(), func(tx *store.Tx) error {
		seen, n, err := tx.FindDeployments(Caller(c), store.DeploymentFilter{
			Workspaces: f.values("workspaceIds"), IDs: f.values("deploymentIds"), Names: f.values("names"),
		}, l)
		if total = n; err != nil {
			return err
		}
		for _, d := range seen {
			v, err := e.resourceOf(c, tx, d)
			if err != nil {
				return err
			}
			all = append(all, v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return answerListed(c, "deployments", all, total, l, deploymentResource.object)
}

// deploymentID returns the Deployment's id in the address.
func deploymentID(c echo.Context) slipway.DeploymentID {
	return slipway.DeploymentID(c.Param("deployment"))
}

// showDeployment serves GET …/deployments/:deployment.
func (e *deployments) showDeployment(c echo.Context) error {
	return e.answerDeployment(c, deploymentID(c))
}

// answerDeployment answers with a Deployment as stored now, also after a change.
func (e *deployments) answerDeployment(c echo.Context, id slipway.DeploymentID) error {
	var v deploymentResource
	err := e.store.View(c.Request().Context(), func(tx *store.Tx) error {
		d, _, err := tx.Deployment(id, Caller(c))
		if err != nil {
			return err
		}
		v, err = e.resourceOf(c, tx, d)
		return err
	})
	if err != nil {
		return err
	}
	return ok(c, v.object())
}

// showOptions serves GET …/deployment-options: the releases of the Runtime for
// images. The CLI refuses an image of any other release.
func (e *deployments) showOptions(c echo.Context) error {
	more := slices.Clone(e.cfg.Releases)
	err := e.store.View(c.Request().Context(), func(tx *store.Tx) error {
		seen, err := tx.Runtimes()
		if err != nil {
			return err
		}
		for _, r := range seen {
			more = append(more, slipway.Release(r))
		}
		return nil
	})
	if err != nil {
		return err
	}
	releases := []object{}
	for _, r := range slipway.Releases(more...) {
		releases = append(releases, object{"version": r, "airflowVersion": r.Airflow(), "channel": "stable"})
	}
	return ok(c, object{
		"runtimeReleases": releases, "executors": []string{"CELERY"}, "resourceQuotas": resourceQuotas(),
		"schedulerMachines": []object{{"name": "SMALL", "spec": object{"cpu": "1", "memory": "2Gi"}}},
		"workerMachines":    []object{}, "workerQueues": object{"maxWorkers": none, "minWorkers": none, "workerConcurrency": none},
	})
}

// none is a range of numbers for what the portal does not manage.
var none = object{"floor": 0, "default": 0, "ceiling": 0}

// resourceQuotas returns the ranges of CPU and memory that the CLI takes its
// defaults from: one value each, of givenFields.
func resourceQuotas() object {
	given := givenFields()
	only := func(name string) object {
		return object{"floor": given[name], "default": given[name], "ceiling": given[name]}
	}
	return object{
		"defaultPodSize": object{"cpu": only("defaultTaskPodCpu"), "memory": only("defaultTaskPodMemory")},
		"resourceQuota":  object{"cpu": only("resourceQuotaCpu"), "memory": only("resourceQuotaMemory")},
	}
}

// showClusterOptions serves GET …/cluster-options: one region, out of which the
// CLI lets people choose when they create a Deployment.
func (e *deployments) showClusterOptions(c echo.Context) error {
	provider := c.QueryParam("provider")
	if provider != "" && !slices.Contains(createFields["cloudProvider"], provider) {
		return slipway.Errorf(slipway.Invalid, "The cloud provider cannot be %s. %s", provider, elsewhere["cloudProvider"])
	}
	only, machine := object{"name": region}, object{"name": "", "cpu": 0, "memory": ""}
	return ok(c, []object{{
		"provider": createFields["cloudProvider"][0], "regions": []object{only}, "defaultRegion": only,
		"databaseInstances": []object{}, "defaultDatabaseInstance": machine, "nodeInstances": []object{}, "defaultNodeInstance": machine,
		"nodeCountMin": 0, "nodeCountDefault": 0, "nodeCountMax": 0, "defaultVpcSubnetRange": "",
	}})
}

// deploymentBody is the request to create or change a Deployment. Absent fields
// change nothing.
type deploymentBody struct {
	WorkspaceID        slipway.WorkspaceID `json:"workspaceId"`
	Name               *string             `json:"name"`
	Description        *string             `json:"description"`
	IsDAGDeployEnabled *bool               `json:"isDagDeployEnabled"`
	IsCICDEnforced     *bool               `json:"isCicdEnforced"`
	IsAPIDeployGuarded *bool               `json:"isApiDeployGuarded"`
	IsMountedHere      *bool               `json:"isMountedHere"` // for create only
}

// settings returns the settings of d, with the fields of b in place.
func (b deploymentBody) settings(d slipway.Deployment) slipway.Settings {
	set := d.Settings
	setIfPresent(&set.Name, b.Name)
	setIfPresent(&set.Description, b.Description)
	setIfPresent(&set.CICDEnforced, b.IsCICDEnforced)
	setIfPresent(&set.GuardAPI, b.IsAPIDeployGuarded)
	return set
}

// setIfPresent copies *from to *to, if from is not nil.
func setIfPresent[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// updateDeployment serves POST …/deployments/:deployment with the whole object.
// isDagDeployEnabled comes from a flag of the CLI, and counts as the tick of the
// switch.
func (e *deployments) updateDeployment(c echo.Context) error {
	b, fields, err := readFields[deploymentBody](c)
	if err != nil {
		return err
	}
	if err := e.checkFields(c, fields); err != nil {
		return err
	}
	set, edit, toggle, err := e.checkUpdate(c, b)
	if err != nil {
		return err
	}
	ctx, id, by := c.Request().Context(), deploymentID(c), Caller(c)
	if toggle {
		if _, err := e.engine.Switch(ctx, id, *b.IsDAGDeployEnabled, by, true); err != nil {
			return err
		}
	}
	if edit {
		if _, err := e.engine.Edit(ctx, id, by, func(s *slipway.Settings) error { *s = set; return nil }); err != nil {
			return err
		}
	}
	return e.answerDeployment(c, id)
}

// checkFields refuses the fields of a change that would have no effect, unless
// they have the values that the Deployment has by now.
func (e *deployments) checkFields(c echo.Context, fields map[string]json.RawMessage) error {
	var v deploymentResource
	err := e.store.View(c.Request().Context(), func(tx *store.Tx) error {
		d, _, err := tx.Deployment(deploymentID(c), Caller(c))
		if err != nil {
			return err
		}
		v, err = e.resourceOf(c, tx, d)
		return err
	})
	if err != nil {
		return err
	}
	known := slices.DeleteFunc(fieldNames[deploymentBody](), func(name string) bool { return name == "isMountedHere" }) // for create only
	has := v.object()
	has["isMountedHere"] = v.Local
	return checkUnmanaged(fields, known, has, nil, anyOnUpdate)
}

// checkUpdate returns the changes in b: new settings if edit, a toggle of the
// switch if toggle. All changes are checked before the first is made.
func (e *deployments) checkUpdate(c echo.Context, b deploymentBody) (set slipway.Settings, edit, toggle bool, err error) {
	err = e.store.View(c.Request().Context(), func(tx *store.Tx) error {
		d, role, err := tx.Projected(deploymentID(c), Caller(c))
		if err != nil {
			return err
		}
		if b.WorkspaceID != "" && b.WorkspaceID != d.Workspace {
			return slipway.Errorf(slipway.Invalid, "A Deployment cannot move to another Workspace: this one is in %s.", d.Workspace)
		}
		set = b.settings(d)
		edit = set != d.Settings
		toggle = b.IsDAGDeployEnabled != nil && *b.IsDAGDeployEnabled != d.DAGDeploys
		if toggle {
			if err := d.SwitchTo(!d.DAGDeploys, role, true); err != nil {
				return err
			}
		}
		if edit {
			_, err = d.Edit(role, set)
		}
		return err
	})
	return set, edit, toggle, err
}

// createDeployment serves POST …/deployments, and answers with the Deployment.
func (e *deployments) createDeployment(c echo.Context) error {
	b, fields, err := readFields[deploymentBody](c)
	if err != nil {
		return err
	}
	if err := checkUnmanaged(fields, fieldNames[deploymentBody](), givenFields(), createFields, anyOnCreate); err != nil {
		return err
	}
	d, err := b.newDeployment()
	if err != nil {
		return err
	}
	if d, err = e.engine.Create(c.Request().Context(), d, Caller(c)); err != nil {
		return err
	}
	return e.answerDeployment(c, d.ID)
}

// newDeployment returns the Deployment to create, mounted on this machine unless
// b says otherwise.
func (b deploymentBody) newDeployment() (slipway.Deployment, error) {
	name, local := "", true
	setIfPresent(&name, b.Name)
	setIfPresent(&local, b.IsMountedHere)
	if b.WorkspaceID == "" {
		return slipway.Deployment{}, slipway.Errorf(slipway.Invalid, "Say by workspaceId in which Workspace the Deployment is made.")
	}
	d, err := slipway.NewDeployment(b.WorkspaceID, name, local)
	if err != nil {
		return d, err
	}
	setIfPresent(&d.DAGDeploys, b.IsDAGDeployEnabled)
	return d.Edit(slipway.Operator, b.settings(d)) // engine.Create checks the caller's role
}

// deleteDeployment serves DELETE …/deployments/:deployment. Unlike the page, the
// API asks for no name as confirmation: nobody types an id by mistake.
func (e *deployments) deleteDeployment(c echo.Context) error {
	var d slipway.Deployment
	err := e.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		d, _, err = tx.Deployment(deploymentID(c), Caller(c))
		return err
	})
	if err != nil {
		return err
	}
	if err := e.engine.Delete(c.Request().Context(), d.ID, Caller(c), d.Name); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// resourceOf loads the values of a deploymentResource. The caller of the API sees d.
func (e *deployments) resourceOf(c echo.Context, tx *store.Tx, d slipway.Deployment) (deploymentResource, error) {
	w, err := tx.LoadWorkspace(d.Workspace)
	if err != nil {
		return deploymentResource{}, err
	}
	queue, err := tx.Queue(d.ID)
	if err != nil {
		return deploymentResource{}, err
	}
	v := deploymentResource{Deployment: d, projected: d.Projected(queue), workspace: w.Name, target: e.deploys.pushTarget(c, d)}
	d.SeenAt = e.engine.SeenAt(d.ID)
	v.health, v.reason = d.Health(e.engine.Components(d.ID), e.engine.Refused(d.ID), slipway.FirstDeploy(queue), tx.Now)
	if len(queue) > 0 && v.health != slipway.Going { // only switches wait
		v.health, v.reason = slipway.Going, "A switch of DAG-only deploys waits for its turn."
	}
	return v, nil
}
