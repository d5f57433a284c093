//! Errors that CPython raises after parsing: `return` outside a function, a keyword given twice …
//! The rules are Ruff's; here is only what they ask about the place of a node.
//! Where the place is not known for sure, the answer is the one that reports nothing.

use std::cell::RefCell;

use ruff_python_ast::name::Name;
use ruff_python_ast::statement_visitor::{StatementVisitor, walk_stmt as walk_inner};
use ruff_python_ast::visitor::{Visitor, walk_expr, walk_parameter, walk_stmt};
use ruff_python_ast::{Comprehension, Expr, ModModule, Parameters, PythonVersion, Stmt};
use ruff_python_parser::semantic_errors::{
    LazyImportContext, SemanticSyntaxChecker, SemanticSyntaxContext, SemanticSyntaxError,
};
use ruff_text_size::TextRange;

pub fn errors(source: &str, version: PythonVersion, module: &ModModule) -> Vec<SemanticSyntaxError> {
    let mut c = Check {
        checker: SemanticSyntaxChecker::new(),
        found: RefCell::default(),
        version,
        source,
        future_annotations: imports_annotations(&module.body),
        scopes: vec![Scope::new(Kind::Module)],
        tries: 0,
    };
    c.visit_body(&module.body);
    c.found.into_inner()
}

fn imports_annotations(body: &[Stmt]) -> bool {
    body.iter().any(|s| match s {
        Stmt::ImportFrom(i) => {
            i.module.as_deref() == Some("__future__") && i.names.iter().any(|a| a.name.as_str() == "annotations")
        }
        _ => false,
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Module,
    Class,
    Function { is_async: bool },
    Lambda,
    Generator,
    Comprehension { is_async: bool }, // a list, set or dict
}

struct Scope {
    kind: Kind,
    loops: u32,
    parameters: Vec<Name>,
    globals: Vec<(Name, TextRange)>,
}

impl Scope {
    fn new(kind: Kind) -> Self {
        Scope { kind, loops: 0, parameters: Vec::new(), globals: Vec::new() }
    }

    fn of_function(is_async: bool, parameters: &Parameters, body: &[Stmt]) -> Self {
        let mut globals = Globals(Vec::new());
        globals.visit_body(body);
        Scope {
            parameters: parameters.iter().map(|p| p.name().id.clone()).collect(),
            globals: globals.0,
            ..Scope::new(Kind::Function { is_async })
        }
    }
}

/// Collects the `global` statements of one function, without those of functions and classes in it.
struct Globals(Vec<(Name, TextRange)>);

impl<'a> StatementVisitor<'a> for Globals {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::Global(g) => self.0.extend(g.names.iter().map(|n| (n.id.clone(), g.range))),
            Stmt::FunctionDef(_) | Stmt::ClassDef(_) => {}
            _ => walk_inner(self, stmt),
        }
    }
}

struct Check<'a> {
    checker: SemanticSyntaxChecker,
    found: RefCell<Vec<SemanticSyntaxError>>,
    version: PythonVersion,
    source: &'a str,
    future_annotations: bool,
    scopes: Vec<Scope>,
    tries: u32,
}

impl<'a> Check<'a> {
    fn within(&mut self, scope: Scope, walk: impl FnOnce(&mut Self)) {
        self.scopes.push(scope);
        walk(self);
        self.scopes.pop();
    }

    fn looping(&mut self, body: &'a [Stmt]) {
        self.here_mut().loops += 1;
        self.visit_body(body);
        self.here_mut().loops -= 1;
    }

    fn here(&self) -> &Scope {
        &self.scopes[self.scopes.len() - 1]
    }

    fn here_mut(&mut self) -> &mut Scope {
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    /// Kinds of the scopes here, from the innermost.
    fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        self.scopes.iter().rev().map(|s| s.kind)
    }

    /// Defaults and annotations belong to the scope around the function.
    fn signature(&mut self, parameters: &'a Parameters) {
        for p in parameters {
            if let Some(default) = p.default() {
                self.visit_expr(default);
            }
            walk_parameter(self, p.as_parameter());
        }
    }

    /// The first iterable belongs to the scope around the comprehension.
    fn comprehension(&mut self, kind: Kind, generators: &'a [Comprehension], results: &[&'a Expr]) {
        if let Some(first) = generators.first() {
            self.visit_expr(&first.iter);
        }
        self.within(Scope::new(kind), |c| {
            for (i, g) in generators.iter().enumerate() {
                if i > 0 {
                    c.visit_expr(&g.iter);
                }
                c.visit_expr(&g.target);
                for condition in &g.ifs {
                    c.visit_expr(condition);
                }
            }
            for r in results {
                c.visit_expr(r);
            }
        });
    }

    fn scoped_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::FunctionDef(f) => {
                f.decorator_list.iter().for_each(|d| self.visit_decorator(d));
                if let Some(t) = &f.type_params {
                    self.visit_type_params(t);
                }
                self.signature(&f.parameters);
                if let Some(r) = &f.returns {
                    self.visit_annotation(r);
                }
                self.within(Scope::of_function(f.is_async, &f.parameters, &f.body), |c| c.visit_body(&f.body));
            }
            Stmt::ClassDef(k) => {
                k.decorator_list.iter().for_each(|d| self.visit_decorator(d));
                if let Some(t) = &k.type_params {
                    self.visit_type_params(t);
                }
                if let Some(a) = &k.arguments {
                    self.visit_arguments(a);
                }
                self.within(Scope::new(Kind::Class), |c| c.visit_body(&k.body));
            }
            Stmt::For(f) => {
                self.visit_expr(&f.iter);
                self.visit_expr(&f.target);
                self.looping(&f.body);
                self.visit_body(&f.orelse);
            }
            Stmt::While(w) => {
                self.visit_expr(&w.test);
                self.looping(&w.body);
                self.visit_body(&w.orelse);
            }
            Stmt::Try(_) => {
                self.tries += 1;
                walk_stmt(self, stmt);
                self.tries -= 1;
            }
            _ => walk_stmt(self, stmt),
        }
    }
}

impl<'a> Visitor<'a> for Check<'a> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        let mut checker = std::mem::take(&mut self.checker);
        checker.visit_stmt(stmt, self);
        self.checker = checker;
        self.scoped_stmt(stmt);
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        let mut checker = std::mem::take(&mut self.checker);
        checker.visit_expr(expr, self);
        self.checker = checker;
        let is_async = |g: &[Comprehension]| g.iter().any(|g| g.is_async);
        match expr {
            Expr::Lambda(l) => {
                let mut scope = Scope::new(Kind::Lambda);
                if let Some(p) = &l.parameters {
                    self.signature(p);
                    scope.parameters = p.iter().map(|p| p.name().id.clone()).collect();
                }
                self.within(scope, |c| c.visit_expr(&l.body));
            }
            Expr::Generator(g) => self.comprehension(Kind::Generator, &g.generators, &[&g.elt]),
            Expr::ListComp(l) => {
                let kind = Kind::Comprehension { is_async: is_async(&l.generators) };
                self.comprehension(kind, &l.generators, &[&l.elt]);
            }
            Expr::SetComp(s) => {
                let kind = Kind::Comprehension { is_async: is_async(&s.generators) };
                self.comprehension(kind, &s.generators, &[&s.elt]);
            }
            Expr::DictComp(d) => {
                let kind = Kind::Comprehension { is_async: is_async(&d.generators) };
                let mut results: Vec<&Expr> = Vec::new();
                if let Some(key) = &d.key {
                    results.push(key);
                }
                results.push(&d.value);
                self.comprehension(kind, &d.generators, &results);
            }
            _ => walk_expr(self, expr),
        }
    }
}

impl SemanticSyntaxContext for Check<'_> {
    fn future_annotations_or_stub(&self) -> bool {
        self.future_annotations
    }

    fn lazy_import_context(&self) -> Option<LazyImportContext> {
        match self.here().kind {
            Kind::Function { .. } | Kind::Lambda => Some(LazyImportContext::Function),
            Kind::Class => Some(LazyImportContext::Class),
            _ if self.tries > 0 => Some(LazyImportContext::TryExceptBlocks),
            _ => None,
        }
    }

    fn python_version(&self) -> PythonVersion {
        self.version
    }

    fn source(&self) -> &str {
        self.source
    }

    fn global(&self, name: &str) -> Option<TextRange> {
        self.here().globals.iter().find(|(n, _)| n.as_str() == name).map(|(_, r)| *r)
    }

    fn has_nonlocal_binding(&self, _: &str) -> bool {
        true // not known: needs the bindings of all scopes around
    }

    fn in_async_context(&self) -> bool {
        for kind in self.kinds() {
            match kind {
                Kind::Class | Kind::Lambda => return false,
                Kind::Function { is_async } => return is_async,
                _ => {}
            }
        }
        false
    }

    fn in_await_allowed_context(&self) -> bool {
        for kind in self.kinds() {
            match kind {
                Kind::Class => return false,
                Kind::Function { .. } | Kind::Lambda | Kind::Generator => return true,
                _ => {}
            }
        }
        false
    }

    fn in_yield_allowed_context(&self) -> bool {
        matches!(self.here().kind, Kind::Function { .. } | Kind::Lambda)
    }

    fn in_sync_comprehension(&self) -> bool {
        self.kinds().any(|k| k == Kind::Comprehension { is_async: false })
    }

    fn in_class_body_comprehension(&self) -> bool {
        for kind in self.kinds() {
            match kind {
                Kind::Class => return true,
                Kind::Generator | Kind::Comprehension { .. } => {}
                _ => return false,
            }
        }
        false
    }

    fn in_module_scope(&self) -> bool {
        self.here().kind == Kind::Module
    }

    fn in_function_scope(&self) -> bool {
        matches!(self.here().kind, Kind::Function { .. } | Kind::Lambda)
    }

    fn in_generator_context(&self) -> bool {
        self.kinds().any(|k| k == Kind::Generator)
    }

    fn in_notebook(&self) -> bool {
        false
    }

    fn report_semantic_error(&self, error: SemanticSyntaxError) {
        self.found.borrow_mut().push(error);
    }

    fn in_loop_context(&self) -> bool {
        self.here().loops > 0
    }

    fn is_bound_parameter(&self, name: &str) -> bool {
        self.here().parameters.iter().any(|p| p.as_str() == name)
    }
}
