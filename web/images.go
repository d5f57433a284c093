package web

import (
	"errors"
	"strconv"

	"github.com/labstack/echo/v4"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// receiveImage makes an image deploy from a form, and passes the DAGs of the
// form to the engine.
func (s *Server) receiveImage(c echo.Context, form *bufferedForm, kind slipway.DeployKind) (slipway.Deploy, error) {
	dags, err := s.takesDAGs(c, kind)
	if err != nil {
		return slipway.Deploy{}, err
	}
	if dags && len(form.parts) == 0 {
		return slipway.Deploy{}, slipway.Errorf(slipway.Invalid, views.ChooseDAGs)
	}
	n, err := newUpload(form.fields["merge"], form.fields["folder_path"], form.fields["description"], true)
	if err != nil {
		return slipway.Deploy{}, err
	}
	w, err := s.beginImage(c, form, deploy.NewImage{Kind: kind, DAGs: dags, Description: n.Description})
	if err != nil || !dags {
		return w, err
	}
	done, err := s.receiveDAGs(c, form, w.Number)
	if err != nil {
		return s.cancelRefused(c, w, err)
	}
	return done, nil
}

// imageRefusal is correctable for forms with an image reference, and includes
// an image not found.
func imageRefusal(err error) string {
	if errors.Is(err, slipway.ErrNotFound) {
		_, text := slipway.Explain(err)
		return text
	}
	return correctable(err)
}

// takesDAGs reports whether a deploy of a kind needs DAGs beside the image.
func (s *Server) takesDAGs(c echo.Context, kind slipway.DeployKind) (takes bool, err error) {
	err = s.viewScene(c, func(_ *store.Tx, sc scene) error {
		takes = kind == slipway.ImageAndDAG && sc.projected.DAGDeploys
		return nil
	})
	return takes, err
}

// beginImage makes the deploy of the form's image.
func (s *Server) beginImage(c echo.Context, form *bufferedForm, n deploy.NewImage) (w slipway.Deploy, err error) {
	switch form.fields["source"] {
	case views.FromArchive:
		if form.image == nil {
			return w, slipway.Errorf(slipway.Invalid, views.ChooseArchive)
		}
		u := deploy.NewUpload{Length: form.image.size, Name: form.image.name, Image: true, Kind: n.Kind, DAGs: n.DAGs, Description: n.Description}
		return s.engine.Receive(c.Request().Context(), deploymentID(c), actorOf(c), u, form.content(*form.image))
	case views.FromPush:
		if n.Ref = form.fields["tag"]; n.Ref == "" {
			return w, slipway.Errorf(slipway.Invalid, views.ChooseTag)
		}
	case views.FromRef:
		if n.Ref = form.fields["ref"]; n.Ref == "" {
			return w, slipway.Errorf(slipway.Invalid, views.ChooseRef)
		}
	default:
		return w, slipway.Errorf(slipway.Invalid, views.ChooseSource)
	}
	return s.engine.CreateImage(c.Request().Context(), deploymentID(c), actorOf(c), n)
}

// cancelRefused cancels w after a refusal of the DAGs. If the image was refused
// in the meantime, w has ended already, its page shows the reason, and no error
// is returned.
func (s *Server) cancelRefused(c echo.Context, w slipway.Deploy, refused error) (slipway.Deploy, error) {
	ctx, by := c.Request().Context(), actorOf(c)
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		w, err = tx.Deploy(w.Deployment, w.Number)
		return err
	})
	switch {
	case err != nil:
		return w, errors.Join(refused, err)
	case w.Status.Ended():
		return w, nil
	}
	_, err = s.engine.Cancel(ctx, w.Deployment, w.Number, by)
	return w, errors.Join(refused, err)
}

// beginOf begins an upload as described by a tus client: of an image, or of the
// DAGs for a named or uploaded image.
func (s *Server) beginOf(c echo.Context, meta map[string]string, n deploy.NewUpload) (u store.Upload, w slipway.Deploy, err error) {
	ctx, of, by := c.Request().Context(), slipway.DeploymentID(meta["deployment"]), actorOf(c)
	kind := slipway.DeployKind(meta["deploy"])
	switch {
	case meta["part"] == "image":
		n.Image, n.Kind, n.DAGs = true, kind, meta["dags"] == "yes"
	case meta["ref"] != "":
		w, err = s.engine.CreateImage(ctx, of, by, deploy.NewImage{Kind: kind, Ref: meta["ref"], DAGs: true, Description: n.Description})
		if err != nil {
			return u, w, err
		}
		n.To = w.Number
	case meta["to"] != "":
		if n.To, err = strconv.Atoi(meta["to"]); err != nil || n.To < 1 {
			return u, w, slipway.Errorf(slipway.Invalid, views.NoDeployNamed, meta["to"])
		}
	}
	made := w
	u, w, err = s.engine.BeginUpload(ctx, of, by, n)
	if err == nil || made.Number == 0 {
		return u, w, err
	}
	if w, err = s.cancelRefused(c, made, err); err == nil {
		err = slipway.Errorf(slipway.Conflict, "%s", w.Reason)
	}
	return u, w, err
}
