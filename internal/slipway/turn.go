package slipway

import "time"

// Expired says why w is given up at now: nobody has finished it within a day
// of its last byte. It is "" while w may still be finished.
func (w Deploy) Expired(lastByte, now time.Time) string {
	switch late := now.Sub(lastByte) >= UnfinishedLife; {
	case late && w.Status == Staged:
		return "Never confirmed within 24 hours. Upload the files again."
	case late && w.Status == Initialized && w.Kind.HasImage():
		return "It was not completed within 24 hours. Start it again."
	case late && w.Status == Initialized && w.UploadedAt.IsZero():
		return "The upload was never completed. Upload the files again."
	}
	return ""
}

// Describe returns w with another description, as long as it is not confirmed.
func (w Deploy) Describe(role Role, text string) (Deploy, error) {
	if err := role.May(DeployDAGs); err != nil {
		return w, err
	}
	if w.Status != Initialized && w.Status != Staged {
		return w, Errorf(Conflict, "Deploy #%d is %s: its description stays.", w.Number, w.Status)
	}
	w.Description = text
	return w, nil
}
