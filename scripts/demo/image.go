package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"slipway/internal/deploy"
	"slipway/internal/slipway"
)

// airflowImage returns an image of Astro Runtime with random packages, built on
// a day. It does not run: the demo has no Airflow.
func airflowImage(runtime string, built time.Time, random *rand.Rand) (v1.Image, error) {
	i := empty.Image
	for range 6 {
		packages := make([]byte, 40_000+random.IntN(300_000))
		for n := range packages {
			packages[n] = byte(random.Uint32())
		}
		var b bytes.Buffer
		out := tar.NewWriter(&b)
		err := out.WriteHeader(&tar.Header{Name: fmt.Sprintf("usr/lib/packages-%x.bin", random.Uint32()), Mode: 0o644, Size: int64(len(packages)), ModTime: built})
		if err == nil {
			_, err = out.Write(packages)
		}
		if err := errors.Join(err, out.Close()); err != nil {
			return nil, err
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
		if err != nil {
			return nil, err
		}
		if i, err = mutate.AppendLayers(i, layer); err != nil {
			return nil, err
		}
	}
	c, err := i.ConfigFile()
	if err != nil {
		return nil, err
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Created = "linux", "amd64", v1.Time{Time: built}
	c.Config.Env = []string{"AIRFLOW_HOME=/usr/local/airflow", "PYTHON_VERSION=3.12.8"}
	c.Config.Labels = map[string]string{"io.astronomer.docker.runtime.version": runtime}
	return mutate.ConfigFile(i, c)
}

// push pushes an image for d, as CI does.
func (p *portal) push(ctx context.Context, d slipway.Deployment, tag string, i v1.Image) error {
	ref, err := name.ParseReference(p.host+"/"+deploy.Repository(d)+":"+tag, name.Insecure)
	if err != nil {
		return err
	}
	return remote.Write(ref, i, remote.WithContext(ctx))
}
