package views

// HistoryPage is a page of the deploy history.
type HistoryPage struct {
	Frame        DeploymentFrame
	Filters      HistoryFilters
	Days         []DaySection
	Live         *LiveThen // the answer to a question for the live deploy at a time
	Newer, Older string    // addresses of the neighbouring pages; "" for none
	DeployURL    string    // to make the first deploy; "" without the permission
	CompareURL   string    // of a form; "" with fewer than two versions
}

// HistoryFilters are the filters of a history, as asked for.
type HistoryFilters struct {
	Action              string
	Text, Commit        string
	Kinds, Statuses, By []Option
	From, Until         string // days
	LiveAt              string // a time
	Count               int    // number of filters in use
	More                bool   // whether a folded filter is in use
	Error               string // why the filters could not be read
}

// LiveThen is the live deploy at a time.
type LiveThen struct {
	At         string // "2026-11-22 14:05:00 UTC"
	Number     int    // of the deploy; 0 for none
	URL        string
	By         string
	Since      Moment
	Until      Moment // zero for the deploy that is live now
	NextNumber int
	NextURL    string
	Row        HistoryRow // with the version and the image
}
