//! Ruff's Python parser as a WebAssembly module without imports.
//!
//! The host calls `alloc(n)`, writes n bytes of UTF-8 there, calls `parse(p, n, minor)` and reads as
//! many bytes as it returns from `output()`. All numbers are little-endian u32:
//!
//! * the number of errors, then for each: its stage (0 grammar, 1 syntax of a newer Python, 2 found
//!   after parsing), start, end (byte offsets), length of its text, the text;
//! * then the tree, to the end: for each node in source order its kind, depth, start, end.
//!
//! A panic or a stack overflow traps; the host then throws the instance away.

mod semantic;

use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, TraversalSignal, walk_module};
use ruff_python_ast::{AnyNodeRef, PythonVersion};
use ruff_python_parser::{Mode, ParseOptions, parse_unchecked};
use ruff_text_size::{Ranged, TextRange};

/// The answer to the last `parse`. The module has one thread.
static mut OUTPUT: Vec<u8> = Vec::new();

#[unsafe(no_mangle)]
pub extern "C" fn alloc(n: u32) -> *mut u8 {
    let mut v: Vec<u8> = Vec::with_capacity(n as usize);
    let p = v.as_mut_ptr();
    std::mem::forget(v);
    p
}

/// Frees what `alloc(n)` returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dealloc(p: *mut u8, n: u32) {
    unsafe { drop(Vec::from_raw_parts(p, 0, n as usize)) }
}

#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    #[allow(static_mut_refs)]
    unsafe {
        OUTPUT.as_ptr()
    }
}

/// Parses the n bytes at p as a module of Python 3.minor and returns the length of the output,
/// 0 where they are not UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn parse(p: *const u8, n: u32, minor: u32) -> u32 {
    let Ok(source) = std::str::from_utf8(unsafe { std::slice::from_raw_parts(p, n as usize) }) else {
        return 0;
    };
    #[allow(static_mut_refs)]
    let out = unsafe { &mut OUTPUT };
    out.clear();
    answer(source, PythonVersion { major: 3, minor: minor as u8 }, out);
    out.len() as u32
}

fn answer(source: &str, version: PythonVersion, out: &mut Vec<u8>) {
    let parsed = parse_unchecked(source, ParseOptions::from(Mode::Module).with_target_version(version));
    let Some(module) = parsed.syntax().as_module() else {
        return;
    };
    let mut errors: Vec<(u32, TextRange, String)> = Vec::new();
    for e in parsed.errors() {
        errors.push((0, e.location, e.error.to_string()));
    }
    for e in parsed.unsupported_syntax_errors() {
        errors.push((1, e.range, e.to_string()));
    }
    if errors.is_empty() {
        for e in semantic::errors(source, version, module) {
            errors.push((2, e.range, e.to_string()));
        }
    }
    put(out, &[errors.len() as u32]);
    for (stage, range, text) in errors {
        put(out, &[stage, range.start().to_u32(), range.end().to_u32(), text.len() as u32]);
        out.extend_from_slice(text.as_bytes());
    }
    walk_module(&mut Tree { out, depth: 0 }, parsed.syntax());
}

fn put(out: &mut Vec<u8>, numbers: &[u32]) {
    for n in numbers {
        out.extend_from_slice(&n.to_le_bytes());
    }
}

/// Writes each node that it enters.
struct Tree<'b> {
    out: &'b mut Vec<u8>,
    depth: u32,
}

impl<'a> SourceOrderVisitor<'a> for Tree<'_> {
    fn enter_node(&mut self, node: AnyNodeRef<'a>) -> TraversalSignal {
        let r = node.range();
        put(self.out, &[node.kind() as u32, self.depth, r.start().to_u32(), r.end().to_u32()]);
        self.depth += 1;
        TraversalSignal::Traverse
    }

    fn leave_node(&mut self, _: AnyNodeRef<'a>) {
        self.depth -= 1;
    }
}
