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

// receiveImage makes a deploy of an image from a form, and hands the DAGs that
// go with it to the engine.
func (s *Server) receiveImage(c echo.Context, form *bufferedForm, kind slipway.DeployKind) (slipway.Deploy, error) {
	dags, err := s.takesDAGs(c, kind)
	if err != nil {
		return slipway.Deploy{}, err
	}
	if dags && len(form.parts) == 0 {
		return slipway.Deploy{}, slipway.Errorf(slipway.Invalid, "Choose the DAGs that go with the image: an archive, files or a folder.")
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

// imageRefusal is correctable where an image is named, which may not be there.
// The page that shows it says itself when it is the Deployment that is missing.
func imageRefusal(err error) string {
	if kind, text := slipway.Explain(err); err != nil && kind == slipway.NotFound {
		return text
	}
	return correctable(err)
}

// takesDAGs reports whether a deploy of a kind brings DAGs beside its image.
func (s *Server) takesDAGs(c echo.Context, kind slipway.DeployKind) (takes bool, err error) {
	err = s.viewScene(c, func(_ *store.Tx, sc scene) error {
		takes = kind == slipway.ImageAndDAG && sc.projected.DAGDeploys
		return nil
	})
	return takes, err
}

// beginImage makes the deploy, with the image that the form says.
func (s *Server) beginImage(c echo.Context, form *bufferedForm, n deploy.NewImage) (w slipway.Deploy, err error) {
	switch form.fields["source"] {
	case views.FromArchive:
		if form.image == nil {
			return w, slipway.Errorf(slipway.Invalid, "Choose the archive of an image first.")
		}
		u := deploy.NewUpload{Length: form.image.size, Name: form.image.name, Image: true, Kind: n.Kind, DAGs: n.DAGs, Description: n.Description}
		return s.engine.Receive(c.Request().Context(), deploymentID(c), actorOf(c), u, form.content(*form.image))
	case views.FromPush:
		if n.Ref = form.fields["tag"]; n.Ref == "" {
			return w, slipway.Errorf(slipway.Invalid, "Choose one of the pushed tags, or push an image first.")
		}
	case views.FromRef:
		if n.Ref = form.fields["ref"]; n.Ref == "" {
			return w, slipway.Errorf(slipway.Invalid, "Type the reference of an image, like quay.io/team/airflow:1.2.")
		}
	default:
		return w, slipway.Errorf(slipway.Invalid, "Choose where the image comes from.")
	}
	return s.engine.CreateImage(c.Request().Context(), deploymentID(c), actorOf(c), n)
}

// cancelRefused ends w, whose DAGs were refused. When its image was refused meanwhile,
// the page of w says why, and there is no other error.
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

// beginOf begins an upload as a tus client describes it: of the DAGs of a deploy,
// for which an image is named or was uploaded before, or of an image.
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
			return u, w, slipway.Errorf(slipway.Invalid, "There is no deploy %q.", meta["to"])
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
