package image

import (
	"context"
	"encoding/json"

	"slipway/internal/slipway"
)

// savedImage is an entry of the manifest.json of docker save.
type savedImage struct {
	Config string // file of the configuration
	Layers []string

	config []byte
}

// readSaved reads the format of docker save. Of images for several platforms,
// one is chosen.
func readSaved(ctx context.Context, a *archive, wanted slipway.Platform) (*archivedImage, error) {
	text, err := a.text(ctx, "manifest.json")
	if err != nil {
		return nil, err
	}
	var images []savedImage
	if err := json.Unmarshal(text, &images); err != nil {
		return nil, damaged("the archive's manifest.json cannot be read (%v)", err)
	}
	if len(images) == 0 || len(images) > maxSaved {
		return nil, severalImages(len(images))
	}
	one, err := savedFor(ctx, a, images, wanted)
	if err != nil {
		return nil, err
	}
	p := &archivedImage{config: one.config}
	for _, name := range one.Layers {
		p.layers = append(p.layers, archivedLayer{file: name})
	}
	return p, nil
}

// maxSaved is the largest number of images whose platforms are compared.
const maxSaved = 32

// savedFor returns the image for a platform.
func savedFor(ctx context.Context, a *archive, images []savedImage, wanted slipway.Platform) (one savedImage, err error) {
	var offered []descriptor
	of := map[string]savedImage{} // by digest of the configuration
	for _, i := range images {
		if i.config, err = a.text(ctx, i.Config); err != nil {
			return one, err
		}
		d := descriptor{Digest: sumOf(i.config), Platform: &slipway.Platform{}}
		if err := json.Unmarshal(i.config, d.Platform); err != nil {
			return one, damaged("its configuration is no JSON (%v)", err)
		}
		if _, twice := of[d.Digest]; !twice { // one image by two names
			offered = append(offered, d)
		}
		of[d.Digest] = i
	}
	switch all := best(offered, wanted); len(all) {
	case 0:
		return one, wrongPlatform(platformsOf(offered), wanted)
	case 1:
		return of[all[0].Digest], nil
	default:
		return one, severalImages(len(all))
	}
}
