package api

import (
	"cmp"
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

// sceneOf reads a Deployment's surroundings.
func (s *Server) sceneOf(c echo.Context, tx *store.Tx, d slipway.Deployment, workspaces []slipway.Workspace) (scene, error) {
	queue, err := tx.Queue(d.ID)
	if err != nil {
		return scene{}, err
	}
	v := scene{Deployment: d, tail: d.Tail(queue), target: s.pushTarget(c, d)}
	for _, w := range workspaces {
		if w.ID == d.Workspace {
			v.workspace = w.Name
		}
	}
	v.health, v.reason = d.Health(s.engine.Components(d.ID), running(queue), tx.Now)
	if len(queue) > 0 && v.health != slipway.Going { // only switches wait
		v.health, v.reason = slipway.Going, "A switch of DAG-only deploys waits for its turn."
	}
	return v, nil
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

// listDeployments serves GET …/deployments.
func (s *Server) listDeployments(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	wanted := c.QueryParams()["workspaceIds"]
	var all []scene
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		workspaces, err := tx.SeenWorkspaces(caller(c))
		if err != nil {
			return err
		}
		seen, err := tx.SeenDeployments(caller(c))
		for _, d := range seen {
			if len(wanted) > 0 && !slices.Contains(wanted, string(d.Workspace)) {
				continue
			}
			v, err := s.sceneOf(c, tx, d, workspaces)
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
	if err := sorted(c, all, map[string]func(a, b scene) int{
		"name":        func(a, b scene) int { return compareNames(a.Name, b.Name) },
		"createdAt":   func(a, b scene) int { return a.CreatedAt.Compare(b.CreatedAt) },
		"updatedAt":   func(a, b scene) int { return a.CreatedAt.Compare(b.CreatedAt) },
		"workspaceId": func(a, b scene) int { return cmp.Compare(a.Workspace, b.Workspace) },
	}); err != nil {
		return err
	}
	return listed(c, "deployments", all, scene.object)
}

func deploymentID(c echo.Context) slipway.DeploymentID {
	return slipway.DeploymentID(c.Param("deployment"))
}

// showDeployment serves GET …/deployments/:deployment, and answers what changed
// one.
func (s *Server) showDeployment(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	return s.answerDeployment(c, deploymentID(c))
}

func (s *Server) answerDeployment(c echo.Context, id slipway.DeploymentID) error {
	var v scene
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		d, _, err := tx.Deployment(id, caller(c))
		if err != nil {
			return err
		}
		workspaces, err := tx.SeenWorkspaces(caller(c))
		if err != nil {
			return err
		}
		v, err = s.sceneOf(c, tx, d, workspaces)
		return err
	})
	if err != nil {
		return err
	}
	return ok(c, v.object())
}

// showOptions serves GET …/deployment-options: the releases of the Runtime that
// an image may have. The CLI refuses every other one by itself.
func (s *Server) showOptions(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	more := slices.Clone(s.cfg.Releases)
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) error {
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
