package views

import (
	"slipway"
)

// VersionsPage lists the DAG bundle versions that are kept.
type VersionsPage struct {
	Frame        DeploymentFrame
	Rows         []VersionRow
	Newer, Older string
	Keeps        string // the retention in words
	DeployURL    string
}

// VersionRow is a version in the list.
type VersionRow struct {
	Version      slipway.Version
	URL          string
	ArchiveURL   string
	At           Moment
	Mounted      bool
	Files        int
	Size, Stored int64
	Uses         []Link // deploys that made it the wanted one
}

// FolderPage is a folder of a version.
type FolderPage struct {
	Frame      DeploymentFrame
	Version    slipway.Version
	Mounted    bool
	VersionURL string
	ArchiveURL string
	Path       []Link // the folders above, from the root
	Folder     string // "" for the root
	Entries    []FolderEntry
	Sum        string
}

// FolderEntry is a file or folder in a folder.
type FolderEntry struct {
	Name, URL string
	Folder    bool
	Files     int // in a folder
	Size      int64
	Link      string // a symlink's target
	DAG, Exec bool
}

// FilePage shows one file of a version.
type FilePage struct {
	Frame      DeploymentFrame
	Version    slipway.Version
	VersionURL string
	Path       []Link
	Name       string
	File       slipway.File
	RawURL     string
	ReplaceURL string // "" for those who may not
	Lines      []string
	Refusal    string // why its text is not shown
}
