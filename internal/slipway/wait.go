package slipway

// Wait is the next step that an unfinished deploy waits for.
type Wait int

// The steps, in order. A deploy of image and DAGs may wait for several parts at
// once; checking of an arrived part goes first.
const (
	NoWait           Wait = iota // the deploy has ended
	WaitUpload                   // of DAGs
	WaitImage                    // under the deploy's tag, by a push or as an archive
	WaitStaging                  // arrived contents are being checked
	WaitConfirmation             // the changes can be read
	WaitQueue                    // others go first
	WaitRollout                  // the deploy is going live
)

// Waits returns the next step of w.
func (w Deploy) Waits() Wait {
	switch w.Status {
	case Initialized:
		return w.waitsForContents()
	case Staged:
		return WaitConfirmation
	case Queued:
		return WaitQueue
	case Deploying:
		return WaitRollout
	}
	return NoWait
}

func (w Deploy) waitsForContents() Wait {
	switch {
	case w.LacksImage() && (w.Source != "" || w.Purpose() == ForSwitch):
		return WaitStaging
	case w.HasDAGs() && (w.WantsDAG || !w.Kind.HasImage()):
		return WaitStaging
	case w.AwaitsImage():
		return WaitImage
	}
	return WaitUpload
}

// LacksImage reports whether the image of w is not inspected yet.
func (w Deploy) LacksImage() bool { return w.Kind.HasImage() && w.Image == nil }

// AwaitsImage reports whether w waits for an image under w's tag, by a push or
// as an archive. DAGs may be in staging meanwhile.
func (w Deploy) AwaitsImage() bool {
	return w.Status == Initialized && w.LacksImage() && w.Purpose() == ForCode && w.Source == "" && w.Tag != ""
}

// HasDAGs reports whether the DAG files of w have arrived.
func (w Deploy) HasDAGs() bool { return !w.UploadedAt.IsZero() }

// TakesDAGs reports whether DAG files may be added to the image of w.
func (w Deploy) TakesDAGs() bool {
	return w.Status == Initialized && w.Kind == ImageAndDAG && w.Purpose() == ForCode && !w.HasDAGs()
}
