//! House rules for shaders, checked on naga's form of every shader before it is compiled.
//!
//! - **Loops are bounded.** An invocation makes at most [`LOOP_ITERATIONS_MAX`] loop iterations,
//!   summed over all loops, nested ones multiplied, calls counted at each place. lavapipe stops an
//!   invocation silently after 65,535, and an unbounded loop is a hung device anywhere else. A bound
//!   must be evident from the text: `for (var i = START; i < BOUND; i += STEP)` over `u32`, where BOUND is
//!   a constant, or `min(x, CONSTANT)`, or `x & CONSTANT`, and nothing else writes to `i`. Or, tested at its end,
//!   `loop { ... continuing { i += STEP; break if i >= BOUND; } }`: software adapters go through the body of a loop
//!   that is tested at its start once more than it counts, with all lanes masked out.
//! - **No array of the invocation's own is indexed by a variable**: neither in function nor in private
//!   memory, nor a constant table (which compilers copy into function memory). On lavapipe a Keccak with such
//!   an array took 47 times as long as one without.

use naga::{
    AddressSpace, Arena, BinaryOperator, Block, Expression, Function, Handle, Literal, LocalVariable,
    MathFunction, Module, Statement, TypeInner,
    valid::{FunctionInfo, ModuleInfo},
};

/// Most loop iterations of one invocation. lavapipe stops silently at 65,535.
pub const LOOP_ITERATIONS_MAX: u64 = 59_999;

/// A house rule that a shader breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LintError {
    /// No bound can be derived for a loop.
    #[error("function {function}: a loop without an evident bound")]
    UnboundedLoop {
        /// The function that holds the loop.
        function: String,
    },
    /// An invocation could make too many loop iterations in all.
    #[error("entry point {function}: up to {iterations} loop iterations, of {LOOP_ITERATIONS_MAX} allowed")]
    TooManyIterations {
        /// The entry point.
        function: String,
        /// Bound on its iterations.
        iterations: u64,
    },
    /// An array of the invocation's own is indexed by a variable.
    #[error("function {function}: an array in function memory or a constant table is indexed by a variable")]
    IndexedLocalArray {
        /// The function that indexes it.
        function: String,
    },
}

/// Checks the rules on one entry point and all functions; returns the bound on its loop iterations.
///
/// # Errors
/// The first rule found broken.
pub(super) fn check(module: &Module, info: &ModuleInfo, entry: usize) -> Result<u64, LintError> {
    // naga keeps functions in order of dependency: callees come first.
    let mut iterations = Vec::with_capacity(module.functions.len());
    for (handle, function) in module.functions.iter() {
        let lint = FunctionLint { module, function, info: &info[handle], callees: &iterations };
        lint.forbid_indexed_arrays()?;
        let bound = lint.iterations(&function.body)?;
        iterations.push(bound);
    }
    let entry_point = &module.entry_points[entry];
    let lint = FunctionLint {
        module,
        function: &entry_point.function,
        info: info.get_entry_point(entry),
        callees: &iterations,
    };
    lint.forbid_indexed_arrays()
        .and_then(|()| lint.iterations(&entry_point.function.body))
        .map_err(|error| {
            // An entry point's function has no name of its own.
            match error {
                LintError::UnboundedLoop { .. } => {
                    LintError::UnboundedLoop { function: entry_point.name.clone() }
                }
                LintError::IndexedLocalArray { .. } => {
                    LintError::IndexedLocalArray { function: entry_point.name.clone() }
                }
                other => other,
            }
        })
        .and_then(|iterations| {
            if iterations > LOOP_ITERATIONS_MAX {
                return Err(LintError::TooManyIterations { function: entry_point.name.clone(), iterations });
            }
            Ok(iterations)
        })
}

struct FunctionLint<'a> {
    module: &'a Module,
    function: &'a Function,
    info: &'a FunctionInfo,
    /// Bounds of the functions that come before, by index.
    callees: &'a [u64],
}

impl FunctionLint<'_> {
    fn name(&self) -> String {
        self.function.name.clone().unwrap_or_default()
    }

    fn forbid_indexed_arrays(&self) -> Result<(), LintError> {
        for (_, expression) in self.function.expressions.iter() {
            let Expression::Access { base, index } = *expression else { continue };
            if self.literal(index).is_none() && self.is_own_array(base) {
                return Err(LintError::IndexedLocalArray { function: self.name() });
            }
        }
        Ok(())
    }

    /// Whether an expression is an array value, or points to an array that each invocation has for itself.
    fn is_own_array(&self, base: Handle<Expression>) -> bool {
        let types = &self.module.types;
        match *self.info[base].ty.inner_with(types) {
            TypeInner::Array { .. } => true,
            TypeInner::Pointer { base, space: AddressSpace::Function | AddressSpace::Private } => {
                matches!(types[base].inner, TypeInner::Array { .. })
            }
            _ => false,
        }
    }

    fn iterations(&self, block: &Block) -> Result<u64, LintError> {
        let mut total = 0_u64;
        for statement in block {
            total = total.saturating_add(match statement {
                Statement::Block(inner) => self.iterations(inner)?,
                Statement::If { accept, reject, .. } => {
                    self.iterations(accept)?.max(self.iterations(reject)?)
                }
                Statement::Switch { cases, .. } => {
                    // Cases may fall through, so they are added up.
                    let mut sum = 0_u64;
                    for case in cases {
                        sum = sum.saturating_add(self.iterations(&case.body)?);
                    }
                    sum
                }
                Statement::Loop { body, continuing, break_if } => {
                    let bound = self
                        .loop_bound(body, continuing, *break_if)
                        .ok_or_else(|| LintError::UnboundedLoop { function: self.name() })?;
                    let inside = self.iterations(body)?.saturating_add(self.iterations(continuing)?);
                    bound.saturating_mul(inside.saturating_add(1))
                }
                Statement::Call { function, .. } => self.callees[function.index()],
                _ => 0,
            });
        }
        Ok(total)
    }

    /// How often a loop of the allowed form runs at most.
    fn loop_bound(
        &self,
        body: &Block,
        continuing: &Block,
        break_if: Option<Handle<Expression>>,
    ) -> Option<u64> {
        if let Some(bound) = break_if.and_then(|test| self.end_tested_bound(body, continuing, test)) {
            return Some(bound);
        }
        // The test must come first: what stands before it could `continue` past it.
        let first = body.iter().find(|statement| !matches!(statement, Statement::Emit(_)))?;
        let (variable, bound) = self.exit_test(first)?;
        let step = self.step(variable, continuing)?;
        if self.is_written(variable, body) || !self.is_plain_u32(variable) {
            return None;
        }
        // Beyond 2^32 the variable would begin anew.
        (bound + step <= 1 << 32).then(|| bound.div_ceil(step))
    }

    /// How often a loop runs at most that ends with `i += STEP; break if i >= BOUND;`. Wherever `i` starts, it is at most
    /// once beyond 2^32, and from there counts up to the bound.
    fn end_tested_bound(&self, body: &Block, continuing: &Block, test: Handle<Expression>) -> Option<u64> {
        let Expression::Binary { op: BinaryOperator::GreaterEqual, left, right } =
            self.function.expressions[test]
        else {
            return None;
        };
        let variable = self.loaded(left)?;
        let bound = self.upper_bound(right)?;
        let step = self.step(variable, continuing)?;
        if self.is_written(variable, body) || !self.is_plain_u32(variable) {
            return None;
        }
        // What is tested must be the stepped value, not one that was loaded before.
        let mut statements = continuing.iter();
        statements.find(|statement| {
            matches!(statement, Statement::Store { pointer, .. }
                if self.function.expressions[*pointer] == Expression::LocalVariable(variable))
        })?;
        let is_fresh = statements.any(
            |statement| matches!(statement, Statement::Emit(range) if range.clone().any(|one| one == left)),
        );
        (is_fresh && bound + step <= 1 << 32).then(|| bound.div_ceil(step) + 1)
    }

    /// `if (i < BOUND) {} else { break; }`: the variable, and the values it can have inside.
    fn exit_test(&self, statement: &Statement) -> Option<(Handle<LocalVariable>, u64)> {
        let Statement::If { condition, accept, reject } = statement else { return None };
        let leaves = |block: &Block| matches!(block.first(), Some(Statement::Break)) && block.len() == 1;
        let Expression::Binary { op, left, right } = self.function.expressions[*condition] else {
            return None;
        };
        let variable = self.loaded(left)?;
        let bound = self.upper_bound(right)?;
        match op {
            BinaryOperator::Less if accept.is_empty() && leaves(reject) => Some((variable, bound)),
            BinaryOperator::LessEqual if accept.is_empty() && leaves(reject) => Some((variable, bound + 1)),
            BinaryOperator::GreaterEqual if reject.is_empty() && leaves(accept) => Some((variable, bound)),
            _ => None,
        }
    }

    /// `i = i + STEP` as the only thing that happens to `i` between iterations.
    fn step(&self, variable: Handle<LocalVariable>, continuing: &Block) -> Option<u64> {
        let mut step = None;
        for statement in continuing {
            match *statement {
                Statement::Emit(_) => {}
                Statement::Store { pointer, value } => {
                    if self.function.expressions[pointer] != Expression::LocalVariable(variable) {
                        continue;
                    }
                    let Expression::Binary { op: BinaryOperator::Add, left, right } =
                        self.function.expressions[value]
                    else {
                        return None;
                    };
                    let by = self.literal(right)?;
                    if self.loaded(left) != Some(variable) || by == 0 || step.is_some() {
                        return None;
                    }
                    step = Some(by);
                }
                _ => return None,
            }
        }
        step
    }

    /// Whether a block stores to a variable, or hands its address to a function.
    fn is_written(&self, variable: Handle<LocalVariable>, block: &Block) -> bool {
        let is_variable = |handle: &Handle<Expression>| {
            self.function.expressions[*handle] == Expression::LocalVariable(variable)
        };
        block.iter().any(|statement| match statement {
            Statement::Store { pointer, .. } => is_variable(pointer),
            Statement::Call { arguments, .. } => arguments.iter().any(is_variable),
            Statement::Block(inner) => self.is_written(variable, inner),
            Statement::If { accept, reject, .. } => {
                self.is_written(variable, accept) || self.is_written(variable, reject)
            }
            Statement::Switch { cases, .. } => cases.iter().any(|case| self.is_written(variable, &case.body)),
            Statement::Loop { body, continuing, .. } => {
                self.is_written(variable, body) || self.is_written(variable, continuing)
            }
            _ => false,
        })
    }

    /// `u32`, so that it starts at 0 or above wherever it starts.
    fn is_plain_u32(&self, variable: Handle<LocalVariable>) -> bool {
        let ty = self.function.local_variables[variable].ty;
        self.module.types[ty].inner == TypeInner::Scalar(naga::Scalar::U32)
    }

    fn loaded(&self, value: Handle<Expression>) -> Option<Handle<LocalVariable>> {
        let Expression::Load { pointer } = self.function.expressions[value] else { return None };
        match self.function.expressions[pointer] {
            Expression::LocalVariable(variable) => Some(variable),
            _ => None,
        }
    }

    fn upper_bound(&self, value: Handle<Expression>) -> Option<u64> {
        match self.function.expressions[value] {
            Expression::Math { fun: MathFunction::Min, arg, arg1: Some(other), .. }
            | Expression::Binary { op: BinaryOperator::And, left: arg, right: other } => {
                match (self.upper_bound(arg), self.upper_bound(other)) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                }
            }
            _ => self.literal(value),
        }
    }

    fn literal(&self, value: Handle<Expression>) -> Option<u64> {
        match self.function.expressions[value] {
            Expression::Constant(constant) => {
                literal(&self.module.global_expressions, self.module.constants[constant].init)
            }
            _ => literal(&self.function.expressions, value),
        }
    }
}

fn literal(expressions: &Arena<Expression>, value: Handle<Expression>) -> Option<u64> {
    match expressions[value] {
        Expression::Literal(Literal::U32(value)) => Some(u64::from(value)),
        Expression::Literal(Literal::I32(value)) => u64::try_from(value).ok(),
        Expression::Literal(Literal::AbstractInt(value)) => u64::try_from(value).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::ShaderError;
    use super::super::shader::Shader;
    use super::*;

    fn lint(body: &str) -> Result<u64, LintError> {
        let text = format!(
            "@group(0) @binding(0) var<storage, read_write> out: array<u32>;\n\
             const TABLE = array<u32, 4>(3u, 1u, 4u, 1u);\n\
             var<private> own: array<u32, 4>;\n\
             var<workgroup> shared_words: array<u32, 64>;\n\
             fn bump(i: ptr<function, u32>) {{ *i = *i - 1u; }}\n\
             fn hundred() {{ for (var i = 0u; i < 100u; i++) {{ out[i] = i; }} }}\n\
             @compute @workgroup_size(64)\n\
             fn main(@builtin(global_invocation_id) id: vec3<u32>) {{\n{body}\n}}\n"
        );
        match Shader::new("test", text).check() {
            Ok(checked) => Ok(checked.loop_iterations_max),
            Err(ShaderError::Lint { source, .. }) => Err(source),
            Err(other) => panic!("{body}: {other}"),
        }
    }

    #[test]
    fn bounds_add_over_loops_multiply_when_nested_and_count_calls() {
        assert_eq!(lint("out[id.x] = 1u;"), Ok(0));
        assert_eq!(lint("for (var i = 0u; i < 10u; i++) { out[i] = i; }"), Ok(10));
        assert_eq!(lint("for (var i = 0u; i <= 9u; i += 2u) { out[i] = i; }"), Ok(5));
        assert_eq!(lint("for (var i = id.x; i < min(id.y, 12u); i++) { out[i] = i; }"), Ok(12));
        assert_eq!(lint("let n = min(12u, id.y); for (var i = 3u; i < n; i++) { out[i] = i; }"), Ok(12));
        assert_eq!(lint("for (var i = 0u; i < (id.y & 7u); i++) { out[i] = i; }"), Ok(7));
        assert_eq!(lint("if (id.x > 3u) { hundred(); } else { out[0] = 1u; } hundred();"), Ok(200));
        assert_eq!(
            lint(
                "for (var i = 0u; i < 10u; i++) { for (var j = 0u; j < 5u; j++) { out[i] = j; } hundred(); }"
            ),
            Ok(10 * (1 + 5 + 100))
        );
        assert_eq!(lint("var i = 0u; loop { if (i >= 9u) { break; } continuing { i += 3u; } }"), Ok(3));
        assert_eq!(lint("var i = 0u; while (i < WORKGROUP_LEN) { out[i] = i; continue; }").ok(), None);
    }

    #[test]
    fn a_loop_tested_at_its_end_is_bounded() {
        // One more than it counts from 0: it may start near 2^32.
        let tail = "out[i] = i; continuing { i++; break if i >= 10u; } }";
        assert_eq!(lint(&format!("var i = 0u; loop {{ {tail}")), Ok(11));
        assert_eq!(lint(&format!("var i = id.x; loop {{ {tail}")), Ok(11));
        assert_eq!(lint(&format!("var i = 0u; loop {{ if out[0] == 1u {{ continue; }} {tail}")), Ok(11));
        let body = "var i = 0u; loop { hundred(); continuing { i += 4u; break if i >= min(id.y, 9u); } }";
        assert_eq!(lint(body), Ok(4 * 101));
    }

    #[test]
    fn canary_a_loop_tested_at_its_end_without_bound_is_caught() {
        for body in [
            "var i = 0u; loop { continuing { i++; break if i >= out[1]; } }",
            "var i = 0u; loop { continuing { i++; break if i == 10u; } }",
            "var i = 0u; loop { continuing { i++; break if out[0] == 1u; } }",
            "var i = 0u; loop { continuing { i += out[0]; break if i >= 10u; } }",
            "var i = 0u; loop { continuing { break if i >= 10u; } }",
            "var i = 0u; loop { if out[i] == 7u { i = 0u; } continuing { i++; break if i >= 10u; } }",
            "var i = 0u; loop { bump(&i); continuing { i++; break if i >= 10u; } }",
            "var i = 0u; loop { continuing { let old = i; i++; break if old >= 10u; } }",
            "var i = 0i; loop { continuing { i++; break if i >= 10i; } }",
            "var i = 0u; loop { continuing { i += 0x40000000u; break if i >= 0xffffff00u; } }",
        ] {
            assert_eq!(lint(body), Err(LintError::UnboundedLoop { function: "main".to_owned() }), "{body}");
        }
    }

    #[test]
    fn canary_a_loop_without_bound_is_caught() {
        for body in [
            "loop { if (out[0] == 1u) { break; } }",
            "for (var i = 0u; i < out[1]; i++) { out[i] = i; }",
            "for (var i = 0u; i < 10u; i++) { if (out[i] == 7u) { i = 0u; } }",
            "for (var i = 0u; i < 10u; i++) { bump(&i); }",
            "for (var i = 0u; i < 10u; i += out[0]) { out[i] = i; }",
            "for (var i = 0u; i < 10u; i += 0u) { out[i] = i; }",
            "for (var i = -5i; i < 10i; i++) { out[u32(i)] = 1u; }",
            "while (out[0] != 1u) { out[1] += 1u; }",
            "var i = 0u; loop { if (out[0] == 1u) { continue; } if (i >= 9u) { break; } continuing { i++; } }",
            "for (var i = id.x; i < 0xffffff00u; i += 0x40000000u) { out[i] = i; }",
            "for (var i = 0u; i <= 0xffffffffu; i += 0x40000000u) { out[i] = i; }",
        ] {
            assert_eq!(lint(body), Err(LintError::UnboundedLoop { function: "main".to_owned() }), "{body}");
        }
    }

    #[test]
    fn canary_too_many_iterations_in_all_are_caught() {
        let error = lint("for (var i = 0u; i < 600u; i++) { hundred(); }");
        let iterations = 600 * 101;
        assert_eq!(error, Err(LintError::TooManyIterations { function: "main".to_owned(), iterations }));
        assert_eq!(lint("for (var i = 0u; i < 59999u; i++) { out[i] = i; }"), Ok(59_999));
        assert!(lint("for (var i = 0u; i < 60000u; i++) { out[i] = i; }").is_err());
    }

    #[test]
    fn canary_a_local_array_indexed_by_a_variable_is_caught() {
        for body in [
            "var a: array<u32, 4>; for (var i = 0u; i < 4u; i++) { a[i] = i; } out[0] = a[3];",
            "var a: array<u32, 4>; a[1] = 2u; out[0] = a[id.x];",
            "out[0] = TABLE[id.x];",
            "own[id.x] = 1u;",
        ] {
            assert_eq!(
                lint(body),
                Err(LintError::IndexedLocalArray { function: "main".to_owned() }),
                "{body}"
            );
        }
    }

    #[test]
    fn constant_indices_and_shared_memory_are_allowed() {
        let body = "var a: array<u32, 4>; a[1] = 2u; shared_words[id.x] = a[1]; \
            out[id.x] = TABLE[2] + shared_words[id.y];";
        assert_eq!(lint(body), Ok(0));
    }
}
