package slipway

import "strings"

// With returns the state after w: the parts carried by w are replaced, the
// others stay.
func (s State) With(w Deploy) State {
	if w.Purpose() == ForSwitch {
		s.DAGDeploys = w.Switch.On
	}
	switch {
	case w.Purpose() == ForReturn:
		return s.returned(w.After)
	case w.Kind == DAGOnly:
		s.Version, s.Mounted = w.Version, true
	case w.Kind == ImageOnly:
		return s.withImage(w.After)
	case w.Kind == ImageAndDAG && !s.DAGDeploys: // the image carries the DAGs
		s = s.withImage(w.After)
		s.Mounted, s.NeedsImage = false, false
	case w.Kind == ImageAndDAG:
		s = s.withImage(w.After)
		if w.HasDAGs() {
			s.Version, s.Mounted, s.NeedsImage = w.Version, true, false
		}
	}
	return s
}

func (s State) withImage(of State) State {
	if of.Image != "" {
		s.Image, s.ImageName, s.ImageTag, s.Runtime = of.Image, of.ImageName, of.ImageTag, of.Runtime
	}
	return s
}

// returned gives the state of an earlier deploy; the image, if unknown then,
// and the version, if not mounted then, keep their values from s.
func (s State) returned(then State) State {
	if then.Image == "" {
		then = then.withImage(s)
	}
	if !then.Mounted {
		then.Version = s.Version
	}
	return then
}

// Brings reports whether w, live on s, mounts a new bundle version.
func (s State) Brings(w Deploy) bool {
	return w.Purpose() != ForReturn && w.Version != "" && s.With(w).Version == w.Version
}

// Bundles reports whether w makes a bundle version of the DAGs that Airflow has from
// the image of s: the files are the same before and after.
func (s State) Bundles(w Deploy) bool {
	return w.Purpose() == ForSwitch && w.Switch.On && !s.Mounted
}

// Wants reports whether s, the state at the end of the queue, has the image and
// the DAGs of w: later deploys brought no others.
func (s State) Wants(w Deploy) bool {
	if w.QueuedAt.IsZero() || w.Status.Ended() && !w.WentLive() {
		return false
	}
	return (!w.Kind.HasImage() || s.Image == w.After.Image) && (w.Kind == ImageOnly || sameDAGs(s, w.After))
}

// RemovesDAGs reports whether w replaces mounted DAGs by the DAGs of the new
// image.
func (s State) RemovesDAGs(w Deploy) bool {
	return w.Kind.HasImage() && s.Mounted && !s.With(w).Mounted
}

// ImageRef returns the pull reference of the image of s by digest, "" if
// unknown.
func (s State) ImageRef() string {
	if s.ImageName == "" {
		return s.Image
	}
	return s.ImageName + "@" + s.Image
}

// digestOf returns the digest of a reference or of a bare digest.
func digestOf(ref string) string { return ref[strings.LastIndex(ref, "@")+1:] }
