package deploytest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway/internal/deploy"
	"slipway/internal/image"
	"slipway/internal/slipway"
	"slipway/store/storetest"
)

// ImageInstallation is an Installation with a registry, and with an apply command
// for Sales. The command writes the image to the file "applied" in the data
// folder, and then runs the script of SetApplyScript.
type ImageInstallation struct {
	*Installation
	Registries []string // of others, by host and port, used by Build
}

// NewWithImages returns an ImageInstallation, not running yet.
func NewWithImages(t *testing.T, change ...func(*deploy.Config)) *ImageInstallation {
	t.Helper()
	i := &ImageInstallation{}
	i.Installation = New(t, append([]func(*deploy.Config){i.addRegistry(t), addApplyCommand}, change...)...)
	i.SetApplyScript(t, "echo applied")
	if err := i.Engine.SetApplyCommand(t.Context(), i.Sales.ID, i.Root, "script"); err != nil {
		t.Fatal(err)
	}
	return i
}

// RunningWithImages returns an ImageInstallation that runs until the end of the
// test.
func RunningWithImages(t *testing.T, change ...func(*deploy.Config)) *ImageInstallation {
	t.Helper()
	i := NewWithImages(t, change...)
	i.Run(t)
	return i
}

// addRegistry adds a registry that asks the engine about every push.
func (i *ImageInstallation) addRegistry(t *testing.T) func(*deploy.Config) {
	return func(c *deploy.Config) {
		var err error
		c.RegistryHost = "portal.test:8888"
		c.Images, err = image.Open(image.Config{
			Dir: filepath.Join(c.Dir, "registry"), Registries: append([]string{"127.0.0.1"}, i.Registries...),
			MayPush: func(ctx context.Context, repository, tag string) error {
				return i.Engine.MayPush(ctx, repository, tag)
			},
			Pushed: func(p image.Push) { i.Engine.Pushed(p) },
		}, logOf(t))
		if err != nil {
			t.Fatal(err)
		}
	}
}

func addApplyCommand(c *deploy.Config) {
	c.ApplyCommands = map[string][]string{"script": {"/bin/sh", "-c", `echo "$AIRFLOW_IMAGE $RUNTIME_VERSION" >> "$0/applied"; . "$0/then"`, c.Dir}}
}

// SetApplyScript sets the script of the apply command.
func (i *ImageInstallation) SetApplyScript(t *testing.T, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(i.Dir, "then"), []byte(script+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// host serves the engine's registry, open to all, and returns the host.
func (i *ImageInstallation) host(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(i.Engine.Images().Handler(image.Authorizer{
		Realm: func(*http.Request) string { return "http://127.0.0.1/v2/token" },
		Admit: func(*http.Request, string, []image.Access) error { return nil },
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// Push pushes an image for Sales and returns the digest.
func (i *ImageInstallation) Push(t *testing.T, tag string, pushed v1.Image) string {
	t.Helper()
	if err := i.TryPush(t, tag, pushed); err != nil {
		t.Fatal(err)
	}
	d, err := pushed.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// TryPush is Push of an image that the engine may refuse.
func (i *ImageInstallation) TryPush(t *testing.T, tag string, pushed v1.Image) error {
	t.Helper()
	ref, err := name.ParseReference(i.host(t)+"/"+deploy.Repository(i.Sales)+":"+tag, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return remote.Write(ref, pushed, remote.WithContext(t.Context()))
}

// StagedImage makes a deploy of an image, by reference, and waits for the
// staging.
func (i *ImageInstallation) StagedImage(t *testing.T, kind slipway.DeployKind, ref string) slipway.Deploy {
	t.Helper()
	w, err := i.Engine.CreateImage(t.Context(), i.Sales.ID, i.Eve, deploy.NewImage{Kind: kind, Ref: ref})
	if err != nil {
		t.Fatal(err)
	}
	return i.Await(t, w.Number, slipway.Staged)
}

// DeployedImage pushes, confirms and deploys an image.
func (i *ImageInstallation) DeployedImage(t *testing.T, kind slipway.DeployKind, tag string, m Image) slipway.Deploy {
	t.Helper()
	i.Push(t, tag, m.Build(t))
	w := i.StagedImage(t, kind, tag)
	i.Confirm(t, w.Number, i.Eve)
	return i.Await(t, w.Number, slipway.Deployed)
}

// ConfirmedProject pushes an image and uploads DAGs, both for one deploy, and
// confirms the deploy.
func (i *ImageInstallation) ConfirmedProject(t *testing.T, tag string, m Image, dags map[string]string) slipway.Deploy {
	t.Helper()
	i.Push(t, tag, m.Build(t))
	w, err := i.Engine.CreateImage(t.Context(), i.Sales.ID, i.Eve, deploy.NewImage{Kind: slipway.ImageAndDAG, Ref: tag, DAGs: true})
	if err != nil {
		t.Fatal(err)
	}
	i.AddDAGs(t, w.Number, dags)
	i.Await(t, w.Number, slipway.Staged)
	return i.Confirm(t, w.Number, i.Eve)
}

// AddDAGs uploads the DAGs of a deploy of image and DAGs.
func (i *ImageInstallation) AddDAGs(t *testing.T, number int, dags map[string]string) {
	t.Helper()
	b := storetest.Archive(t, dags)
	_, err := i.Engine.Receive(t.Context(), i.Sales.ID, i.Eve, deploy.NewUpload{To: number, Length: int64(len(b)), Name: "dags.tar.gz", Merge: slipway.ReplaceAll}, bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
}

// ImageFiles returns the files in the dags folder of an image in the engine's
// registry, by path.
func (i *ImageInstallation) ImageFiles(t *testing.T, of slipway.Image) map[string]string {
	t.Helper()
	var b bytes.Buffer
	if err := i.Engine.Images().DagsTar(t.Context(), of, image.Login{}, "/usr/local/airflow/dags", &b); err != nil {
		t.Fatal(err)
	}
	all, in := map[string]string{}, tar.NewReader(&b)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		all[h.Name] = string(text)
		if h.Linkname != "" {
			all[h.Name] = "-> " + h.Linkname
		}
	}
}
