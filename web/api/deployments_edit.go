package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
)

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
	set := d.Settings()
	put(&set.Name, b.Name)
	put(&set.Description, b.Description)
	put(&set.CICDEnforced, b.IsCICDEnforced)
	put(&set.GuardAPI, b.IsAPIDeployGuarded)
	return set
}

func put[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// updateDeployment serves POST …/deployments/:deployment with the whole object.
// The flag of the CLI that leads here counts as the switch's tick.
func (s *Server) updateDeployment(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	b, err := read[deploymentBody](c)
	if err != nil {
		return err
	}
	set, edit, turn, err := s.judged(c, b)
	if err != nil {
		return err
	}
	ctx, id, by := c.Request().Context(), deploymentID(c), caller(c)
	if turn {
		if _, err := s.engine.Switch(ctx, id, *b.IsDAGDeployEnabled, by, true); err != nil {
			return err
		}
	}
	if edit {
		if _, err := s.engine.Edit(ctx, id, by, set); err != nil {
			return err
		}
	}
	return s.answerDeployment(c, id)
}

// judged returns what b would change, all of it judged before any of it is done.
func (s *Server) judged(c echo.Context, b deploymentBody) (set slipway.Settings, edit, turn bool, err error) {
	err = s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		d, role, err := tx.Tail(deploymentID(c), caller(c))
		if err != nil {
			return err
		}
		if b.WorkspaceID != "" && b.WorkspaceID != d.Workspace {
			return slipway.Errorf(slipway.Invalid, "A Deployment cannot move to another Workspace: this one is in %s.", d.Workspace)
		}
		set = b.settings(d)
		edit = set != d.Settings()
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
func (s *Server) createDeployment(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	b, err := read[deploymentBody](c)
	if err != nil {
		return err
	}
	d, err := b.newDeployment()
	if err != nil {
		return err
	}
	if d, err = s.engine.Create(c.Request().Context(), d, caller(c)); err != nil {
		return err
	}
	return s.answerDeployment(c, d.ID)
}

func (b deploymentBody) newDeployment() (slipway.Deployment, error) {
	name, here := "", true
	put(&name, b.Name)
	put(&here, b.IsMountedHere)
	if b.WorkspaceID == "" {
		return slipway.Deployment{}, slipway.Errorf(slipway.Invalid, "Say by workspaceId in which Workspace the Deployment is made.")
	}
	d, err := slipway.NewDeployment(b.WorkspaceID, name, here)
	if err != nil {
		return d, err
	}
	put(&d.DAGDeploys, b.IsDAGDeployEnabled)
	return d.Edit(slipway.Operator, b.settings(d)) // engine.Create asks for the caller's role
}

// deleteDeployment serves DELETE …/deployments/:deployment. Its id is proof
// enough that it is meant: nobody types it by mistake.
func (s *Server) deleteDeployment(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	var d slipway.Deployment
	err := s.store.View(c.Request().Context(), func(tx *store.Tx) (err error) {
		d, _, err = tx.Deployment(deploymentID(c), caller(c))
		return err
	})
	if err != nil {
		return err
	}
	if err := s.engine.Delete(c.Request().Context(), d.ID, caller(c), d.Name); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
