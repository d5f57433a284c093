package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway/internal/bundle/buckettest"
)

// A data folder and its bucket stay together, whatever the command.
func TestServeWithABucket(t *testing.T) {
	bucket, other := buckettest.File(t).Address, buckettest.File(t).Address
	home := t.TempDir()
	dir, file, fresh := filepath.Join(home, "data"), filepath.Join(home, "backup"), filepath.Join(home, "fresh")
	s := start(t, dir, "--bucket", bucket)
	s.stop()
	s.wait(t)
	for _, step := range []struct {
		args []string
		want string // in what it prints, or in its error
		ok   bool
	}{
		{[]string{"serve", "--data", dir, "--listen", "127.0.0.1:0"}, "Name it with --bucket.", false},
		{[]string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--bucket", other}, "is no copy of it.", false},
		{[]string{"serve", "--data", filepath.Join(home, "second"), "--listen", "127.0.0.1:0", "--bucket", bucket}, "belongs to another installation", false},
		{[]string{"serve", "--data", dir, "--listen", "127.0.0.1:0", "--bucket", "ftp://host"}, "begins with s3://", false},
		{[]string{"fsck", "--data", dir}, "Name it with --bucket.", false},
		{[]string{"fsck", "--data", dir, "--bucket", bucket}, "0 damages, 0 leftovers", true},
		{[]string{"backup", file, "--data", dir}, "Name it with --bucket.", false},
		{[]string{"backup", file, "--data", dir, "--bucket", bucket}, "are in the bucket " + bucket + ".", true},
		{[]string{"restore", file, "--data", fresh}, "Name it with --bucket.", false},
		{[]string{"restore", file, "--data", fresh, "--bucket", other}, "is no copy of it.", false},
		{[]string{"restore", file, "--data", fresh, "--bucket", bucket}, "is restored.", true},
	} {
		out, err := call(t, "", step.args...)
		if err != nil {
			out += err.Error()
		}
		if (err == nil) != step.ok || !strings.Contains(out, step.want) {
			t.Errorf("%s: %q, want %q", strings.Join(step.args, " "), out, step.want)
		}
	}
	if _, err := os.Stat(filepath.Join(fresh, "bucket.json")); err != nil {
		t.Errorf("the restored folder does not know of the bucket: %v", err)
	}
	again := start(t, fresh, "--bucket", bucket)
	again.stop()
	again.wait(t)
}
