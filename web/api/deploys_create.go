package api

import (
	"cmp"
	"strings"
	"unicode"

	"github.com/labstack/echo/v4"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/store"
)

// gitBody is where the files came from, as the CLI says it.
type gitBody struct {
	Provider   string `json:"provider"` // GITHUB or GENERIC
	Account    string `json:"account"`
	Repo       string `json:"repo"`
	RemoteURL  string `json:"remoteUrl"`
	Branch     string `json:"branch"`
	CommitSHA  string `json:"commitSha"`
	CommitURL  string `json:"commitUrl"`
	AuthorName string `json:"authorName"`
	Path       string `json:"path"`
}

func (g gitBody) git() slipway.Git {
	repository := g.RemoteURL
	if g.Repo != "" {
		repository = strings.TrimPrefix(g.Account+"/"+g.Repo, "/")
	}
	return slipway.Git{Commit: g.CommitSHA, Branch: g.Branch, Repository: repository, URL: g.CommitURL, Author: g.AuthorName}
}

// deployBody is what a deploy is made by.
type deployBody struct {
	Type        string  `json:"type"`
	Description string  `json:"description"`
	Git         gitBody `json:"git"`
}

// archiveName is what people read of an archive that the CLI packed.
const archiveName = "bundle.tar.gz"

// createDeploy serves POST …/deploys. Not every one is finalized: the CLI checks
// some things only then.
func (s *Server) createDeploy(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	b, err := read[deployBody](c)
	if err != nil {
		return err
	}
	d, err := s.takesDeploy(c, slipway.DeployKind(b.Type))
	if err != nil {
		return err
	}
	w, slot, err := s.begun(c, d, b)
	if err != nil {
		return err
	}
	o := deployObject(w)
	o["isDagDeployEnabled"], o["imageRepository"], o["imageTag"] = d.DAGDeploys, s.pushTarget(c, d), cmp.Or(w.Tag, d.ImageTag)
	if slot {
		if o["dagsUploadUrl"], err = s.uploadURL(c, w); err != nil {
			return err
		}
	}
	return ok(c, o)
}

// begun makes the deploy that b asks for. slot says that it takes DAGs in.
func (s *Server) begun(c echo.Context, d slipway.Deployment, b deployBody) (w slipway.Deploy, slot bool, err error) {
	ctx, by, kind := c.Request().Context(), caller(c), slipway.DeployKind(b.Type)
	n := deploy.NewUpload{Name: archiveName, Merge: slipway.ReplaceAll, Description: shortened(b.Description), Git: b.Git.git()}
	if kind.HasImage() {
		w, err = s.engine.CreateImage(ctx, d.ID, by, deploy.NewImage{Kind: kind, Description: n.Description, Git: n.Git})
		if err != nil || kind == slipway.ImageOnly || !d.DAGDeploys {
			return w, false, err
		}
		n.To = w.Number
	}
	w, err = s.engine.BeginBlocks(ctx, d.ID, by, n)
	return w, true, err
}

// pushTarget returns where the image of a deploy of d is pushed to, as whoever
// asks reaches the portal.
func (s *Server) pushTarget(c echo.Context, d slipway.Deployment) string {
	_, host, _ := strings.Cut(s.base(c), "://")
	return host + "/" + deploy.Repository(d)
}

// takesDeploy returns the Deployment as it will be, if a deploy of kind can be
// made on it.
func (s *Server) takesDeploy(c echo.Context, kind slipway.DeployKind) (d slipway.Deployment, err error) {
	err = s.store.View(c.Request().Context(), func(tx *store.Tx) error {
		var role slipway.Role
		if d, role, err = tx.Tail(deploymentID(c), caller(c)); err != nil {
			return err
		}
		if kind == "BUNDLE" {
			return slipway.Errorf(slipway.Invalid, "This portal does not take dbt bundles yet. Put the dbt project into the dags folder.")
		}
		return d.MayDeploy(kind, role, caller(c))
	})
	return d, err
}

// maxDescription is how much is kept of a commit message, which the CLI sends
// as the description: a long one is no reason to refuse a deploy.
const maxDescription = 1000

// shortened returns text as a description: cut, and without control signs.
func shortened(text string) string {
	text = strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if letters := []rune(text); len(letters) > maxDescription {
		return string(letters[:maxDescription-1]) + "…"
	}
	return text
}

// createNamedBundle serves the address at which the CLI deploys to a DAG bundle
// by name. Airflow has one from us, so there is nothing to choose.
func (s *Server) createNamedBundle(c echo.Context) error {
	if err := inOrganization(c); err != nil {
		return err
	}
	if _, err := s.takesDeploy(c, slipway.DAGOnly); err != nil {
		return err
	}
	return slipway.Errorf(slipway.Invalid, "A Deployment of this portal has one DAG bundle, without a name. Leave out --dag-bundle-name.")
}
