package web

import (
	"hash/fnv"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"slipway/internal/slipway"
	"slipway/store"
	"slipway/views"
)

// kindPath is the form for a deploy of a kind.
func kindPath(of slipway.DeploymentID, kind slipway.DeployKind) string {
	return deploymentPath(of) + "?" + url.Values{"kind": {string(kind)}}.Encode() + "#new-deploy"
}

// againPath is the form for another try of an image deploy, filled in with
// source. An archive has to be chosen anew.
func againPath(of slipway.DeploymentID, kind slipway.DeployKind, source string) string {
	asked := url.Values{"kind": {string(kind)}}
	if source != "" {
		asked.Set("ref", views.WrittenReference(source))
	}
	return deploymentPath(of) + "?" + asked.Encode() + "#new-deploy"
}

// requestedKind returns the kind of deploy in the address, "" for none.
func requestedKind(c echo.Context) slipway.DeployKind {
	return slipway.DeployKind(c.QueryParam("kind"))
}

// newDeploy is the form for the requested kind of deploy, else for the first
// allowed kind.
func (s *Server) newDeploy(c echo.Context, tx *store.Tx, sc scene) (n views.NewDeploy, err error) {
	n = views.NewDeploy{TusURL: "/uploads", Deployment: sc.ID, Name: sc.Name, NoDeploys: sc.live.Number == 0, Kind: requestedKind(c), TokenURL: newTokenPath(sc.Deployment)}
	for _, kind := range slipway.AllKinds {
		refused := sc.projected.MayDeploy(kind, sc.role, sc.by)
		tab := views.KindTab{Title: kind.Title(), URL: kindPath(sc.ID, kind)}
		if refused != nil {
			_, tab.Refusal = slipway.Explain(refused)
		} else if n.Kind.Title() == "" {
			n.Kind = kind
		}
		n.Kinds = append(n.Kinds, tab)
	}
	if n.Kind.Title() == "" {
		n.Kind = slipway.DAGOnly
	}
	for i, kind := range slipway.AllKinds {
		if kind == n.Kind {
			n.Kinds[i].Open, n.Refusal = true, n.Kinds[i].Refusal
		}
	}
	n.Action = deploymentPath(sc.ID) + "/deploys?kind=" + string(n.Kind)
	n.DAGs = n.Kind == slipway.DAGOnly || n.Kind == slipway.ImageAndDAG && sc.projected.DAGDeploys
	switch {
	case n.Refusal == "":
		err = s.fillNewDeploy(c, tx, sc, &n)
	case !sc.projected.DAGDeploys && sc.role.May(slipway.DeployDAGs) == nil:
		n.SettingsURL = settingsPath(sc.ID, views.SettingsDeploys)
	}
	return n, err
}

// fillNewDeploy completes the form of an allowed kind.
func (s *Server) fillNewDeploy(c echo.Context, tx *store.Tx, sc scene, n *views.NewDeploy) (err error) {
	if n.Text, err = deployText(tx, sc, n.Kind); err != nil || !n.Kind.HasImage() {
		return err
	}
	pushed, err := s.pushed(c, sc)
	if err != nil {
		return err
	}
	n.Image = &views.ImageChoice{Source: views.FromPush, Pushed: pushed, RegistriesURL: registriesPath(sc.Workspace)}
	if n.Image.Ref = c.QueryParam("ref"); n.Image.Ref != "" {
		n.Image.Source = views.FromRef
	}
	return nil
}

// deployText describes the effect of a kind of deploy.
func deployText(tx *store.Tx, sc scene, kind slipway.DeployKind) (string, error) {
	if kind != slipway.ImageAndDAG || !sc.projected.Mounted {
		return views.DeployText(sc.projected, kind, nil), nil
	}
	w, found, err := tx.VersionDeploy(sc.ID, sc.projected.Version)
	if err != nil {
		return "", err
	}
	return views.DeployText(sc.projected, kind, only(w, found)), nil
}

// maxPushed is how many pushed tags a form lists.
const maxPushed = 20

// pushed lists the tags pushed for the Deployment.
func (s *Server) pushed(c echo.Context, sc scene) (p views.Pushed, err error) {
	target := s.engine.PushTarget(sc.Deployment)
	host, _, _ := strings.Cut(target, "/")
	p.Lines = views.PushLines(host, target)
	p.TokensURL = tokensPath(sc.Workspace)
	tags, err := s.engine.PushedTags(c.Request().Context(), sc.Deployment)
	if err != nil {
		return p, err
	}
	p.More = max(0, len(tags)-maxPushed)
	for _, t := range tags[:min(maxPushed, len(tags))] {
		ref := t.Repository + ":" + t.Tag + "@" + t.Digest
		p.Rows = append(p.Rows, views.PushedTag{
			ID: "push-" + hashed(ref), Ref: ref, Name: strings.TrimPrefix(t.Repository, sc.Namespace+"/") + ":" + t.Tag,
			Digest: views.ShortDigest(t.Digest), At: sc.at(t.At),
		})
	}
	p.Chosen = chosenTag(c, p.Rows)
	return p, nil
}

// chosenTag returns the pushed tag to tick at first: the newest. A live page
// keeps the tag in its address, so a later push does not replace a person's
// choice.
func chosenTag(c echo.Context, rows []views.PushedTag) string {
	if begun := c.QueryParam("ticked"); begun != "" {
		return begun
	}
	if live := c.QueryParam("view") != ""; len(rows) == 0 || live && len(rows) > 1 {
		return ""
	}
	return rows[0].Ref
}

// hashed makes a short name of letters and digits for a text.
func hashed(text string) string {
	h := fnv.New64a()
	h.Write([]byte(text)) // never fails
	return strconv.FormatUint(h.Sum64(), 36)
}

// formKey identifies the contents of a new-deploy form. A live page replaces
// the form only when the key differs, because somebody may be typing.
func formKey(n views.NewDeploy) string {
	parts := []string{string(n.Kind), n.Refusal, n.SettingsURL, strconv.FormatBool(n.DAGs)}
	for _, t := range n.Kinds {
		parts = append(parts, t.Refusal)
	}
	return hashed(strings.Join(parts, "\n"))
}
