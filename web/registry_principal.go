package web

import (
	"errors"
	"slices"

	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store"
)

// principal is the sender of a registry request: a person, an API token or an
// agent.
type principal struct {
	by    slipway.Actor
	agent slipway.DeploymentID // "" for people and API tokens
}

// principalOf returns the principal of a bearer, if the token still works.
func (s *Server) principalOf(tx *store.Tx, b bearer) (principal, error) {
	if b.Login {
		t, err := tx.LoginToken(store.LoginAccess, b.Secret)
		if err != nil {
			return principal{}, err
		}
		return principal{by: slipway.Actor{User: t.User, Via: slipway.API}}, nil
	}
	t, err := tx.Token(b.Secret)
	switch {
	case err != nil:
		return principal{}, err
	case t.Kind == store.AgentToken:
		return principal{agent: t.Deployment}, nil
	}
	return principal{by: slipway.Actor{Token: t.ID, Secret: t.Secret, Kinds: t.Kinds, Folder: t.Folder, Name: t.Name, Via: slipway.API}}, nil
}

// grant returns the allowed part of wants. If nothing is allowed, or anything
// but a pull is refused, grant returns the error: a client with a smaller
// bearer would notice only after uploading layers.
func (v principal) grant(tx *store.Tx, wants []image.Access) (granted []image.Access, err error) {
	var why error
	for _, a := range wants {
		err := v.may(tx, a)
		switch {
		case err == nil:
			granted = append(granted, a)
		case !slipway.Explained(err) || a.Action != image.Pulling:
			return nil, err
		default:
			why = err
		}
	}
	if len(granted) == 0 {
		return nil, why
	}
	return granted, nil
}

// may returns nil if v may do a. Everybody with access to the Deployment pulls;
// pushing and deleting need the right to deploy images.
func (v principal) may(tx *store.Tx, a image.Access) error {
	none := slipway.Errorf(slipway.NotFound, "There is no repository %s, or not for this token. Those of a Deployment begin with its namespace.", a.Repository)
	if !slices.Contains([]image.Action{image.Pulling, image.Pushing, image.Deleting}, a.Action) {
		return slipway.Errorf(slipway.Invalid, "There is nothing like %q to do with a repository.", a.Action)
	}
	d, err := tx.DeploymentIn(image.Namespace(a.Repository))
	if errors.Is(err, slipway.ErrNotFound) {
		return none
	}
	if err != nil {
		return err
	}
	switch {
	case v.agent == "":
	case v.agent != d.ID:
		return none
	case a.Action != image.Pulling:
		return slipway.Errorf(slipway.Forbidden, "The token of an agent pulls images and does nothing else here. Use an API token.")
	default:
		return nil
	}
	d, role, err := tx.Deployment(d.ID, v.by)
	if errors.Is(err, slipway.ErrNotFound) {
		return none
	}
	if err != nil || a.Action == image.Pulling {
		return err
	}
	if d.MayDeploy(slipway.ImageOnly, role, v.by) == nil {
		return nil
	}
	return d.MayDeploy(slipway.ImageAndDAG, role, v.by)
}
