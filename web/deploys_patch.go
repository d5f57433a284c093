package web

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
)

// patchURL is the address of w's text changes as a patch; "" without changes,
// or when a version is no longer retained.
func patchURL(sc scene, w slipway.Deploy, kept map[slipway.Version]bool) string {
	waits := w.Status == slipway.Staged || w.Status.Active() && !w.WentLive()
	did := w.WentLive() && kept[w.After.Version] && (w.Base == "" || kept[w.Base])
	if !waits && !did || w.Counts.Added+w.Counts.Changed+w.Counts.Removed == 0 {
		return ""
	}
	return deployPath(sc.ID, w.Number) + "/patch"
}

// sendPatch serves GET /deployments/:deployment/deploys/:number/patch: the text
// changes of a deploy, for git apply.
func (s *Server) sendPatch(c echo.Context) error {
	n, err := number(c)
	if err != nil {
		return err
	}
	var name string
	err = s.viewScene(c, func(_ *store.Tx, sc scene) error {
		name = strings.NewReplacer("/", "-", `\`, "-").Replace(sc.Name)
		return nil
	})
	if err != nil {
		return err
	}
	patch, err := s.engine.Patch(c.Request().Context(), deploymentID(c), n, actorOf(c))
	if err != nil {
		return err
	}
	attach(c.Response().Header(), fmt.Sprintf("%s-%d.patch", name, n))
	return c.Blob(http.StatusOK, "text/x-patch; charset=utf-8", patch)
}
