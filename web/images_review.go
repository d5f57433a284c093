package web

import (
	"slipway/internal/deploy"
	"slipway/internal/slipway"
	"slipway/views"
)

// maxImageFiles is the most files of an image listed in a review.
const maxImageFiles = 500

// addImage completes the form to confirm r with the effect on the image.
func addImage(v *views.Review, r deploy.Review) {
	v.Reminders, v.NotAirflow, v.ByHand = r.Reminders, r.Plan.NotAirflow, r.Plan.ByHand
	v.Image = imageReview(r)
	v.NoFiles = r.Deploy.Kind.HasImage() && len(r.Plan.Changes) == 0
}

// imageReview describes the effect of r on the image, nil for none.
func imageReview(r deploy.Review) *views.ImageReview {
	if r.Image == nil {
		return nil
	}
	i := r.Image.New
	v := views.ImageReview{
		Title: i.Title(), Ref: i.Ref(), Short: views.ShortDigest(i.Digest), Platform: i.Platform, Size: views.Bytes(i.Size),
		Runtime: views.Shift{Old: r.Image.Old.Runtime, New: i.Runtime}, Airflow: views.Shift{Old: r.Image.Old.Airflow, New: i.Airflow},
		Layers: views.LayersText(r.Image.ImageChange), Folder: r.Image.Files.Folder, Count: r.Image.Files.Count, Bytes: r.Image.Files.Bytes,
		Unread: r.Image.Files.Unread, Carries: r.Image.Carries, Open: r.Deploy.Purpose() == slipway.ForSwitch,
	}
	if i.CreatedAt.Year() >= 2000 { // reproducible builds say 1970 or 1980
		v.Built = i.CreatedAt.UTC().Format("2 Jan 2006")
	}
	for _, f := range r.Image.Files.Files[:min(maxImageFiles, len(r.Image.Files.Files))] {
		line := views.ImageFile{Path: f.Path, Detail: views.Bytes(f.Size)}
		if f.Link != "" {
			line.Detail = "link to " + f.Link
		}
		v.Files = append(v.Files, line)
	}
	return &v
}
