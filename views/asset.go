package views

import "context"

type assetKey struct{}

// WithAssets returns a context in which components find the addresses of
// scripts, styles and icons by url.
func WithAssets(ctx context.Context, url func(name string) string) context.Context {
	return context.WithValue(ctx, assetKey{}, url)
}

// asset returns the address of a file by its name: "app.css". Without
// WithAssets it panics: every page needs its style sheet.
func asset(ctx context.Context, name string) string {
	return ctx.Value(assetKey{}).(func(string) string)(name)
}
