package views

import (
	"fmt"
	"time"

	"slipway/internal/slipway"
)

// adminSections are the sections of the installation's pages, in the order of the
// side menu.
var adminSections = []struct{ name, url string }{
	{AdminOverview, "/admin"},
	{AdminWorkspaces, "/workspaces"},
	{AdminPeople, "/admin/people"},
	{AdminInsights, "/admin/insights"},
	{AdminStorage, "/admin/storage"},
	{AdminBackups, "/admin/backups"},
	{AdminAgents, "/admin/agents"},
	{AdminAudit, "/admin/audit"},
}

// The sections of the installation's pages.
const (
	AdminOverview   = "Overview"
	AdminWorkspaces = "Workspaces"
	AdminPeople     = "People"
	AdminInsights   = "Insights"
	AdminStorage    = "Storage"
	AdminBackups    = "Backups"
	AdminAgents     = "Agents"
	AdminAudit      = "Audit log"
)

// InstallationPage is the start page of an administrator.
type InstallationPage struct {
	Page       Frame
	Since      time.Time // of the start of the portal
	Database   int64
	Running    int // deploys going live
	Waiting    int // in queues
	Storage    StorageCard
	Backup     BackupCard
	People     int
	Disabled   int
	Admins     []string
	Agents     AgentVersions
	Workspaces []WorkspaceSum
}

// WorkspaceSum is a Workspace with its sums.
type WorkspaceSum struct {
	Name, URL            string
	Deployments, Members int
	Stored               int64
	Agents, OlderAgents  int
	DeploymentSums       []DeploymentSum
	Largest              bool
}

// DeploymentSum is a Deployment with the space that its packs take.
type DeploymentSum struct {
	Name, VersionsURL string
	Packs             int
	Stored            int64
}

// StorageCard is the disk of the data folder and what is known of its use.
type StorageCard struct {
	Dir      string
	Bucket   string // with packs and manifests; "" for none
	Disk     slipway.Disk
	Packs    int64 // bytes of DAG bundles
	Database int64
}

// Meter are the parts of the disk in thousandths, each with its place.
type Meter struct {
	Class   string
	X, Wide string
}

// Parts returns the used parts of the disk. Packs in a bucket are not on it.
func (s StorageCard) Parts() (all []Meter) {
	x := int64(0)
	for _, part := range []struct {
		class string
		bytes int64
	}{{"c-5", s.onDisk()}, {"c-3", s.Database}, {"c-1", s.Rest()}} {
		wide := s.Disk.Share(part.bytes, 1000)
		if wide > 0 {
			all = append(all, Meter{part.class, fmt.Sprint(x), fmt.Sprint(max(wide-2, 1))})
		}
		x += wide
	}
	return all
}

func (s StorageCard) onDisk() int64 {
	if s.Bucket != "" {
		return 0
	}
	return s.Packs
}

// Used is what is used of the disk.
func (s StorageCard) Used() int64 { return max(s.Disk.Total-s.Disk.Free, 0) }

// Rest is what is used besides DAG bundles and the database.
func (s StorageCard) Rest() int64 { return max(s.Used()-s.onDisk()-s.Database, 0) }

// Text says in a sentence what the meter shows.
func (s StorageCard) Text() string {
	return fmt.Sprintf("%s of %s are used: DAG bundles %s, database %s, images and everything else %s.",
		Bytes(s.Used()), Bytes(s.Disk.Total), Bytes(s.onDisk()), Bytes(s.Database), Bytes(s.Rest()))
}

// BackupCard is the last backup, if known, and how to make one.
type BackupCard struct {
	Known   bool
	At      time.Time
	File    string
	Bytes   int64
	Took    time.Duration
	Command string
}

// AgentVersions are the versions of the agents of the installation.
type AgentVersions struct {
	Portal    string // version of the portal's program
	Connected int
	Silent    int
	Versions  []AgentVersionSum
	Others    []OtherAgent // connected agents of another version than the portal's
}

// AgentVersionSum is a version with the number of connected agents.
type AgentVersionSum struct {
	Version string
	Agents  int
}

// OtherAgent is a component whose agent has another version than the portal.
type OtherAgent struct {
	Component, Version string
	Deployment, URL    string
	Workspace          string
}

func versionOrUnknown(v string) string {
	if v == "" {
		return "Not known"
	}
	return v
}

// AdminTitle is the title of a section's page.
func AdminTitle(section string) string { return section + " · Installation" }

// AccountsPage is the list of the installation's people.
type AccountsPage struct {
	Page Frame
	Text string // of the search
	Part ListPart
	Rows []AccountRow
}

// AccountRow is a person in the list.
type AccountRow struct {
	slipway.User
	URL        string
	You        bool
	Workspaces int
	Sessions   int
	SeenAt     time.Time
}

// AccountPageOf is the page of one person's account, for administrators.
type AccountPageOf struct {
	Page        Frame
	User        slipway.User
	You         bool
	URL         string
	Link        string // to set a password, made just now
	Memberships []AccountMembership
	Sessions    int
	Tokens      []EndingToken
	Ownerless   []string
	LinkRefusal string // why no link can be made; "" if one can
	EndRefusal  string // why the account cannot be disabled; "" if it can
	Error       string
}

// AccountMembership is the role of a person in a Workspace.
type AccountMembership struct {
	Workspace, URL string
	Role           slipway.Role
}

// DeleteWorkspace asks before a Workspace is deleted.
type DeleteWorkspace struct {
	Page           Frame
	Name, URL      string
	Typed          string
	Members        int
	Tokens         int
	Refusal, Error string
}

// NewPasswordPage is where the holder of a link sets a new password.
type NewPasswordPage struct {
	Page       Frame
	Email, URL string
	Error      string
}
