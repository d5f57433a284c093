package deploy

import (
	"context"

	"slipway/internal/image"
	"slipway/internal/slipway"
)

// Login returns what opens the registry of an image for d.
func (e *Engine) Login(ctx context.Context, d slipway.Deployment, name string) (image.Login, error) {
	return e.login(ctx, d, name)
}

// RetainImages forgets and removes the images that no deploy of d needs.
func (e *Engine) RetainImages(ctx context.Context, d slipway.Deployment) error {
	return e.retainImages(ctx, []slipway.Deployment{d})
}

// RetainAside is what is done while the engine runs about namespaces that no
// record names.
func (e *Engine) RetainAside(ctx context.Context) error { return e.deleteOrphans(ctx) }

// RetainVersions has the versions of a Deployment expire.
func (e *Engine) RetainVersions(ctx context.Context, of slipway.DeploymentID) error {
	return e.retain(ctx, of)
}

// DropStray deletes a pack of this process that was not recorded in the end.
func (e *Engine) DropStray(ctx context.Context, d slipway.Deployment, sum string) error {
	return e.dropUnrecorded(ctx, d, sum)
}
