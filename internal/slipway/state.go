package slipway

import "strings"

// With returns the state after w: what it carries is replaced, the rest stays.
func (s State) With(w Deploy) State {
	if w.Switch != nil {
		s.DAGDeploys = w.Switch.On
	}
	switch {
	case w.ReturnTo != 0:
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
		if !w.UploadedAt.IsZero() { // else it brought no DAGs
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

// returned is then, with what then did not have as it is in s: an image while
// none was known, and a bundle version that was not mounted, which by now may
// no longer be kept.
func (s State) returned(then State) State {
	if then.Image == "" {
		then = then.withImage(s)
	}
	if !then.Mounted {
		then.Version = s.Version
	}
	return then
}

// Brings reports whether w, made live on s, mounts a bundle version of its own.
func (s State) Brings(w Deploy) bool {
	return w.ReturnTo == 0 && w.Version != "" && s.With(w).Version == w.Version
}

// Uncovers reports whether w takes the DAGs that are mounted away, for those of
// the image that it rolls out.
func (s State) Uncovers(w Deploy) bool {
	return w.Kind.HasImage() && s.Mounted && !s.With(w).Mounted
}

// ImageRef returns the reference that pulls the image of s and nothing else,
// "" while none is known.
func (s State) ImageRef() string {
	if s.ImageName == "" {
		return s.Image
	}
	return s.ImageName + "@" + s.Image
}

// digestOf returns the digest of a reference, or of what is one.
func digestOf(ref string) string { return ref[strings.LastIndex(ref, "@")+1:] }
