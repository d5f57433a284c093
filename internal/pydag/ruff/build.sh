#!/usr/bin/env bash
# Builds ruff.wasm from src, the crates of Cargo.lock and the standard library's
# sources, and writes ruff.sum. It needs cargo and rust-lld (rustup's toolchain has
# both) and, where Rust's wasm target is not installed, Debian's rustc-web, whose
# packages it downloads into target. Two to four minutes.
set -euo pipefail
cd "$(dirname "$0")"

web=${RUSTWEB:-$PWD/target/rustweb}
if [ ! -x "$web/usr/bin/rustc" ]; then
	mkdir -p "$web"
	(
		cd "$web"
		apt-get download rustc-web rust-web-src libstd-rust-web-1.96 libstd-rust-web-dev libllvm22
		for package in *.deb; do dpkg -x "$package" .; done
	)
fi
printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$web/usr/lib/x86_64-linux-gnu" "$web/usr/bin/rustc" >"$web/rustc.sh"
chmod +x "$web/rustc.sh"

lld=$(find "$(rustc --print sysroot)" -name rust-lld | head -n 1)
PATH=$(dirname "$lld"):$PATH
export PATH RUSTC="$web/rustc.sh" RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=rust-lld
# No path of this machine in the binary.
export RUSTFLAGS="--remap-path-prefix=$HOME=/home --remap-path-prefix=$PWD=/src --remap-path-prefix=$web=/rust"
cargo build --locked --release --target wasm32-unknown-unknown -Zbuild-std=std,panic_abort
cp target/wasm32-unknown-unknown/release/ruff.wasm ruff.wasm
sha256sum Cargo.toml Cargo.lock build.sh src/*.rs ruff.wasm >ruff.sum
