package views

// ImageReview is the effect of a deploy on the image.
type ImageReview struct {
	Title    string // "quay.io/team/airflow:1.2"
	Ref      string // by digest
	Short    string // of the digest
	Platform string
	Size     string
	Built    string // a day; "" for an unknown one
	Runtime  Shift
	Airflow  Shift
	Layers   string // "3 shared, 2 new: 41.2 MB to pull"
	Folder   string // the dags folder of the image
	Files    []ImageFile
	Count    int
	Bytes    int64
	Unread   string // why the folder could not be read
	Carries  bool   // Airflow reads the DAGs in the folder
	Open     bool   // the list of files begins unfolded
}

// Shift is the change of a value; Old and New may be "".
type Shift struct{ Old, New string }

// ImageFile is a file in the dags folder of an image.
type ImageFile struct{ Path, Detail string }

// LogCardProps is the log of a deploy's rollout.
type LogCardProps struct {
	Lines   []string
	Earlier int // lines left out at the start
	AllURL  string
}

// RegisterCardProps is the form to register today's image.
type RegisterCardProps struct {
	Action, Ref, Error string
	To                 string // where the switch is turned to afterwards; "" for nowhere
}

// ApplyCardProps is the form to choose the portal's command for applying an
// image.
type ApplyCardProps struct {
	Action  string
	Refusal string // why no command can be chosen
	Names   []string
	Chosen  string
}
