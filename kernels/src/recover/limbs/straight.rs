//! Straight-line integer programs whose bounds are proved while they are written.
//!
//! A [`Builder`] takes down one operation after another. Every value carries the interval in which it lies for all
//! inputs within their bounds; an operation that could leave its integer type is refused there and then, so a
//! program that exists cannot overflow or underflow. It can be printed as the body of a WGSL function
//! ([`Program::wgsl`]), which a shader imports, and run on the CPU ([`Program::run`]), which tests compare with an
//! independent big-integer library.
//!
//! Overflow while building is a mistake of the program's author, not of any input, so the builder panics.

use std::fmt::Write as _;

/// A value of a program: which, its integer type, and the bounds on it, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::recover) struct Value {
    index: usize,
    is_wide: bool,
    pub(in crate::recover) min: u64,
    pub(in crate::recover) max: u64,
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    /// Word of an input, by its place among all input words.
    Input(usize),
    Constant(u64),
    Add(Value, Value),
    Sub(Value, Value),
    Mul(Value, Value),
    ShiftRight(Value, u32),
    ShiftLeft(Value, u32),
    And(Value, u64),
    Or(Value, Value),
    /// The first if the last is not 0, else the second.
    Select(Value, Value, Value),
    /// From 32 to 64 bits.
    Widen(Value),
    /// From 64 to 32 bits, of a value that fits.
    Narrow(Value),
    /// The value itself, of which the author knows more than the intervals show.
    Assume(Value),
}

/// Writes down a program.
#[derive(Debug)]
pub(in crate::recover) struct Builder {
    /// Whether 64-bit values may be used.
    has_wide: bool,
    operations: Vec<Operation>,
    values: Vec<Value>,
    inputs: usize,
    /// The widened form of a value, once it has one.
    widened: Vec<Option<Value>>,
}

/// A finished program.
#[derive(Debug)]
pub(in crate::recover) struct Program {
    operations: Vec<Operation>,
    values: Vec<Value>,
    outputs: Vec<Value>,
}

const NARROW_MAX: u64 = u32::MAX as u64;

impl Builder {
    pub(in crate::recover) const fn new(has_wide: bool) -> Self {
        Self { has_wide, operations: Vec::new(), values: Vec::new(), inputs: 0, widened: Vec::new() }
    }

    fn push(&mut self, operation: Operation, is_wide: bool, min: u64, max: u64) -> Value {
        assert!(min <= max && (is_wide || max <= NARROW_MAX), "{operation:?} of {min}..={max}");
        let value = Value { index: self.values.len(), is_wide, min, max };
        self.operations.push(operation);
        self.values.push(value);
        self.widened.push(None);
        value
    }

    /// The next word of the inputs, at most `max`.
    pub(in crate::recover) fn input(&mut self, max: u64) -> Value {
        self.inputs += 1;
        self.push(Operation::Input(self.inputs - 1), false, 0, max)
    }

    pub(in crate::recover) fn constant(&mut self, value: u64) -> Value {
        self.push(Operation::Constant(value), value > NARROW_MAX, value, value)
    }

    /// A result of 0..=`max` fits 32 bits, or 64 if there are any.
    fn fits(&self, max: u128, what: &str) -> (bool, u64) {
        let limit = if self.has_wide { u64::MAX } else { NARROW_MAX };
        let max = u64::try_from(max).ok().filter(|&max| max <= limit);
        let max = max.unwrap_or_else(|| panic!("{what} can overflow"));
        (max > NARROW_MAX, max)
    }

    fn widen(&mut self, value: Value) -> Value {
        if value.is_wide || matches!(self.operations[value.index], Operation::Constant(_)) {
            return value;
        }
        if let Some(wide) = self.widened[value.index] {
            return wide;
        }
        let wide = self.push(Operation::Widen(value), true, value.min, value.max);
        self.widened[value.index] = Some(wide);
        wide
    }

    /// Both of one type: wide if either is or the result must be.
    fn paired(&mut self, a: Value, b: Value, must_be_wide: bool) -> (Value, Value, bool) {
        if !(a.is_wide || b.is_wide || must_be_wide) {
            return (a, b, false);
        }
        (self.widen(a), self.widen(b), true)
    }

    fn is_zero(value: Value) -> bool {
        value.max == 0
    }

    pub(in crate::recover) fn add(&mut self, a: Value, b: Value) -> Value {
        if Self::is_zero(a) {
            return b;
        }
        if Self::is_zero(b) {
            return a;
        }
        let (must_be_wide, max) = self.fits(u128::from(a.max) + u128::from(b.max), "a sum");
        let (a, b, is_wide) = self.paired(a, b, must_be_wide);
        self.push(Operation::Add(a, b), is_wide, a.min + b.min, max)
    }

    /// a − b, where a is never less than b.
    pub(in crate::recover) fn sub(&mut self, a: Value, b: Value) -> Value {
        assert!(a.min >= b.max, "a difference can underflow: {a:?} - {b:?}");
        if Self::is_zero(b) {
            return a;
        }
        let (a, b, is_wide) = self.paired(a, b, false);
        self.push(Operation::Sub(a, b), is_wide, a.min - b.max, a.max - b.min)
    }

    /// a − b of which the caller knows that it lies in 0..=`max`, for a reason that intervals do not show; why is for the
    /// caller to say. Tests check it.
    pub(in crate::recover) fn sub_within(&mut self, a: Value, b: Value, max: u64) -> Value {
        let (a, b, is_wide) = self.paired(a, b, false);
        self.push(Operation::Sub(a, b), is_wide, 0, max)
    }

    /// The product of two 32-bit values; wide if it must be.
    pub(in crate::recover) fn mul(&mut self, a: Value, b: Value) -> Value {
        let (must_be_wide, max) = self.fits(u128::from(a.max) * u128::from(b.max), "a product");
        let (a, b, is_wide) = self.paired(a, b, must_be_wide);
        self.push(Operation::Mul(a, b), is_wide, a.min * b.min, max)
    }

    /// a times a constant, by a shift where that does it.
    pub(in crate::recover) fn times(&mut self, a: Value, factor: u64) -> Value {
        if factor == 1 {
            return a;
        }
        if factor.is_power_of_two() {
            let (must_be_wide, max) = self.fits(u128::from(a.max) * u128::from(factor), "a shift");
            let a = if must_be_wide { self.widen(a) } else { a };
            let shift = factor.trailing_zeros();
            return self.push(Operation::ShiftLeft(a, shift), a.is_wide, a.min << shift, max);
        }
        let factor = self.constant(factor);
        self.mul(a, factor)
    }

    pub(in crate::recover) fn shift_right(&mut self, a: Value, shift: u32) -> Value {
        if shift == 0 {
            return a;
        }
        let (min, max) = (a.min.checked_shr(shift).unwrap_or(0), a.max.checked_shr(shift).unwrap_or(0));
        if max == 0 {
            return self.constant(0);
        }
        self.push(Operation::ShiftRight(a, shift), a.is_wide, min, max)
    }

    pub(in crate::recover) fn and(&mut self, a: Value, mask: u64) -> Value {
        if (mask + 1).is_power_of_two() && a.max <= mask {
            return a;
        }
        self.push(Operation::And(a, mask), a.is_wide, 0, a.max.min(mask))
    }

    /// a | b of values without a common bit, a sum in other words.
    pub(in crate::recover) fn or(&mut self, a: Value, b: Value) -> Value {
        if Self::is_zero(a) {
            return b;
        }
        if Self::is_zero(b) {
            return a;
        }
        let (must_be_wide, max) = self.fits(u128::from(a.max) + u128::from(b.max), "a union");
        let (a, b, is_wide) = self.paired(a, b, must_be_wide);
        self.push(Operation::Or(a, b), is_wide, 0, max)
    }

    /// `yes` if `condition` is not 0, else `no`.
    pub(in crate::recover) fn select(&mut self, yes: Value, no: Value, condition: Value) -> Value {
        let (yes, no, is_wide) = self.paired(yes, no, false);
        let (min, max) = (yes.min.min(no.min), yes.max.max(no.max));
        self.push(Operation::Select(yes, no, condition), is_wide, min, max)
    }

    /// States a bound that follows from more than intervals; why is for the caller to say. Tests check it.
    pub(in crate::recover) fn assume_at_most(&mut self, a: Value, max: u64) -> Value {
        if a.max <= max {
            return a;
        }
        self.push(Operation::Assume(a), a.is_wide, a.min.min(max), max)
    }

    fn narrow(&mut self, a: Value) -> Value {
        if !a.is_wide {
            return a;
        }
        assert!(a.max <= NARROW_MAX, "an output can overflow: {a:?}");
        self.push(Operation::Narrow(a), false, a.min, a.max)
    }

    /// Ends the program; its outputs are 32-bit.
    pub(in crate::recover) fn finish(mut self, outputs: &[Value]) -> Program {
        let outputs = outputs.iter().map(|&output| self.narrow(output)).collect();
        Program { operations: self.operations, values: self.values, outputs }
    }
}

impl Operation {
    fn operands(self) -> impl Iterator<Item = Value> {
        let all = match self {
            Self::Input(_) | Self::Constant(_) => [None; 3],
            Self::Add(a, b) | Self::Sub(a, b) | Self::Mul(a, b) | Self::Or(a, b) => [Some(a), Some(b), None],
            Self::ShiftRight(a, _)
            | Self::ShiftLeft(a, _)
            | Self::And(a, _)
            | Self::Widen(a)
            | Self::Narrow(a)
            | Self::Assume(a) => [Some(a), None, None],
            Self::Select(a, b, c) => [Some(a), Some(b), Some(c)],
        };
        all.into_iter().flatten()
    }
}

impl Program {
    /// Upper bounds of the outputs.
    pub(in crate::recover) fn output_maxima(&self) -> impl Iterator<Item = u64> + '_ {
        self.outputs.iter().map(|output| output.max)
    }

    /// Number of multiplications, for cost tables.
    #[cfg(test)]
    pub(in crate::recover) fn multiplications(&self) -> usize {
        self.operations.iter().filter(|operation| matches!(operation, Operation::Mul(..))).count()
    }

    /// Runs the program, checking that each value keeps its bounds.
    #[cfg(test)]
    pub(in crate::recover) fn run(&self, inputs: &[u32]) -> Vec<u32> {
        let mut results: Vec<u64> = Vec::with_capacity(self.values.len());
        for (operation, value) in self.operations.iter().zip(&self.values) {
            let of = |value: Value| results[value.index];
            let result = match *operation {
                Operation::Input(place) => u64::from(inputs[place]),
                Operation::Constant(constant) => constant,
                Operation::Add(a, b) => of(a) + of(b),
                Operation::Sub(a, b) => of(a) - of(b),
                Operation::Mul(a, b) => of(a) * of(b),
                Operation::ShiftRight(a, shift) => of(a) >> shift,
                Operation::ShiftLeft(a, shift) => of(a) << shift,
                Operation::And(a, mask) => of(a) & mask,
                Operation::Or(a, b) => {
                    assert_eq!(of(a) & of(b), 0, "a union of values with common bits");
                    of(a) | of(b)
                }
                Operation::Select(yes, no, condition) => of(if of(condition) != 0 { yes } else { no }),
                Operation::Widen(a) | Operation::Narrow(a) | Operation::Assume(a) => of(a),
            };
            assert!((value.min..=value.max).contains(&result), "{operation:?}: {result} out of {value:?}");
            results.push(result);
        }
        self.outputs.iter().map(|output| u32::try_from(results[output.index]).unwrap()).collect()
    }

    /// The statements of a WGSL function, given what each input word is called there; and the expressions
    /// of its outputs.
    pub(in crate::recover) fn wgsl(&self, inputs: &[String]) -> (String, Vec<String>) {
        let mut uses = vec![0_usize; self.values.len()];
        let mut is_live = vec![false; self.values.len()];
        for output in &self.outputs {
            is_live[output.index] = true;
            uses[output.index] += 1;
        }
        for (index, operation) in self.operations.iter().enumerate().rev() {
            if is_live[index] {
                for operand in operation.operands() {
                    is_live[operand.index] = true;
                    uses[operand.index] += 1;
                }
            }
        }
        let mut body = String::new();
        let mut names: Vec<String> = Vec::with_capacity(self.values.len());
        for (index, operation) in self.operations.iter().enumerate() {
            let name = match *operation {
                // Constants take the type of their operation.
                Operation::Constant(_) | Operation::Assume(_) if !is_live[index] => String::new(),
                Operation::Assume(a) => names[a.index].clone(),
                Operation::Input(place) => inputs[place].clone(),
                Operation::Constant(constant) => constant.to_string(),
                _ if !is_live[index] => String::new(),
                _ => {
                    let expression = self.expression(*operation, self.values[index].is_wide, &names);
                    let is_term = matches!(
                        operation,
                        Operation::Mul(..)
                            | Operation::And(..)
                            | Operation::ShiftRight(..)
                            | Operation::ShiftLeft(..)
                            | Operation::Widen(_)
                            | Operation::Narrow(_)
                    );
                    if uses[index] == 1 && is_term && expression.len() < 60 {
                        format!("({expression})")
                    } else {
                        let _ = writeln!(body, "    let t{index} = {expression};");
                        format!("t{index}")
                    }
                }
            };
            names.push(name);
        }
        let outputs = self.outputs.iter().map(|output| self.operand(*output, false, &names)).collect();
        (body, outputs)
    }

    fn operand(&self, value: Value, is_wide: bool, names: &[String]) -> String {
        match self.operations[value.index] {
            Operation::Constant(constant) => literal(constant, is_wide),
            _ => names[value.index].clone(),
        }
    }

    fn expression(&self, operation: Operation, is_wide: bool, names: &[String]) -> String {
        let of = |value| self.operand(value, is_wide, names);
        match operation {
            Operation::Input(_) | Operation::Constant(_) | Operation::Assume(_) => {
                unreachable!("named without a statement")
            }
            Operation::Add(a, b) => format!("{} + {}", of(a), of(b)),
            Operation::Sub(a, b) => format!("{} - {}", of(a), of(b)),
            Operation::Mul(a, b) => format!("{} * {}", of(a), of(b)),
            Operation::ShiftRight(a, shift) => format!("{} >> {shift}u", of(a)),
            Operation::ShiftLeft(a, shift) => format!("{} << {shift}u", of(a)),
            Operation::And(a, mask) => format!("{} & {}", of(a), literal(mask, is_wide)),
            Operation::Or(a, b) => format!("{} | {}", of(a), of(b)),
            Operation::Select(yes, no, condition) => {
                let zero = literal(0, condition.is_wide);
                let condition = self.operand(condition, condition.is_wide, names);
                format!("select({}, {}, {condition} != {zero})", of(no), of(yes))
            }
            Operation::Widen(a) => format!("u64({})", self.operand(a, false, names)),
            Operation::Narrow(a) => format!("u32({})", self.operand(a, true, names)),
        }
    }
}

fn literal(value: u64, is_wide: bool) -> String {
    if is_wide { format!("{value}lu") } else { format!("{value}u") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_prints_and_runs_alike() {
        let mut b = Builder::new(true);
        let (x, y) = (b.input(NARROW_MAX), b.input(NARROW_MAX));
        let product = b.mul(x, y);
        let low = b.and(product, NARROW_MAX);
        let high = b.shift_right(product, 32);
        let program = b.finish(&[low, high]);
        let (body, outputs) = program.wgsl(&["x".into(), "y".into()]);
        assert_eq!(
            body,
            "    let t4 = u64(x) * u64(y);\n".replace("t4 = u64(x) * u64(y)", "t4 = (u64(x)) * (u64(y))")
        );
        assert_eq!(outputs, ["(u32((t4 & 4294967295lu)))", "(u32((t4 >> 32u)))"]);
        assert_eq!(program.run(&[u32::MAX, u32::MAX]), [1, u32::MAX - 1]);
    }

    #[test]
    #[should_panic(expected = "a product can overflow")]
    fn canary_a_product_beyond_32_bits_is_refused_where_there_are_no_more() {
        let mut b = Builder::new(false);
        let x = b.input(1 << 16);
        b.mul(x, x);
    }

    #[test]
    #[should_panic(expected = "a difference can underflow")]
    fn canary_a_difference_that_can_underflow_is_refused() {
        let mut b = Builder::new(true);
        let (x, y) = (b.input(7), b.input(8));
        b.sub(x, y);
    }
}
