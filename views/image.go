package views

// ImageReview is what a deploy does to the image.
type ImageReview struct {
	Title    string // "quay.io/team/airflow:1.2"
	Ref      string // that pulls it and nothing else
	Short    string // of its digest
	Platform string
	Size     string
	Built    string // a day; "" where it does not say
	Runtime  Shift
	Airflow  Shift
	Layers   string // "3 shared, 2 new: 41.2 MB to pull"
	Folder   string // its dags folder
	Files    []ImageFile
	Count    int
	Bytes    int64
	Unread   string // why the folder could not be read
	Carries  bool   // Airflow reads that folder
	Open     bool   // its files are what it is about
}

// Shift is something that was one and becomes another; either may be "".
type Shift struct{ Old, New string }

// ImageFile is a file in the dags folder of an image.
type ImageFile struct{ Path, Detail string }

// LogCardProps is what a deploy's rollout said.
type LogCardProps struct {
	Lines   []string
	Earlier int // that are not shown
	AllURL  string
}

// RegisterCardProps is the form that tells which image runs today.
type RegisterCardProps struct {
	Action, Ref, Error string
	To                 string // where the switch is turned to afterwards; "" for nowhere
}

// ApplyCardProps chooses what this machine runs to apply an image.
type ApplyCardProps struct {
	Action  string
	Refusal string // why it cannot be chosen
	Names   []string
	Chosen  string
}
