// Package slipway holds the nouns and rules of the deploy portal: what a
// Deployment, a deploy and a DAG bundle version are, and who may do what to
// them when. Its functions judge values. They load and save nothing, know
// nothing of SQL, HTTP, HTML or files, and never ask for the time.
package slipway
