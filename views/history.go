package views

// HistoryPage is a page of the deploy history.
type HistoryPage struct {
	Frame        DeploymentFrame
	Filters      HistoryFilters
	Rows         []HistoryRow
	Live         *LiveThen // what was live at a time that was asked for
	Newer, Older string    // addresses of the pages beside it; "" for none
	DeployURL    string    // to make the first deploy; "" for those who may not
	CompareURL   string    // of a form; "" where there are no two versions
}

// HistoryFilters say which deploys a history shows.
type HistoryFilters struct {
	Action              string
	Text, Commit        string
	Kinds, Statuses, By []Option
	From, Until         string // days
	LiveAt              string // a time
	Count               int    // how many filters there are
	More                bool   // whether one of those is used that are folded away
	Error               string // why they were not understood
}

// LiveThen is what was live at a time.
type LiveThen struct {
	At         string // "2026-11-22 14:05:00 UTC"
	Number     int    // of the deploy; 0 for none
	URL        string
	By         string
	Since      Moment
	Until      Moment // zero while it still is
	NextNumber int
	NextURL    string
	Row        HistoryRow // for its version and image
}
