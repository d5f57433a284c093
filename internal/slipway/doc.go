// Package slipway holds the nouns and rules of the deploy portal: Deployments,
// deploys, DAG bundle versions, and who may change them. The rules are
// functions of values: no files, SQL, HTTP, HTML or clock.
package slipway
