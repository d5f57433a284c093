package deploy

import (
	"context"

	"slipway"
	"slipway/image"
)

// Login returns what opens the registry of an image for d.
func (e *Engine) Login(ctx context.Context, d slipway.Deployment, name string) (image.Login, error) {
	return e.login(ctx, d, name)
}

// RetainImages forgets and removes the images that no deploy of d needs.
func (e *Engine) RetainImages(ctx context.Context, d slipway.Deployment) error {
	return e.retainImages(ctx, []slipway.Deployment{d})
}
