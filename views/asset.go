// Package views renders pages: values in, HTML out. All words of pages stand here.
package views

import "context"

type assetKey struct{}

// WithAssets returns a context with url, by which components find the addresses
// of scripts, styles and icons.
func WithAssets(ctx context.Context, url func(name string) string) context.Context {
	return context.WithValue(ctx, assetKey{}, url)
}

// asset returns the address of a file by name: "app.css". Without WithAssets
// asset panics: every page needs a style sheet.
func asset(ctx context.Context, name string) string {
	return ctx.Value(assetKey{}).(func(string) string)(name)
}
