//! The limb arithmetic of the shaders, generated for two layouts from one description.
//!
//! A number is a row of limbs in one WGSL struct, `Fe` modulo p or `Sc` modulo n. The layouts:
//!
//! | [`IntegerForm`] | limbs × bits | products | why |
//! | --- | --- | --- | --- |
//! | `U64` | 9 × 29 | 32 × 32 → 64, columns summed in 64 bits | fewest products without a carry between them |
//! | `U32` | 20 × 13 | 16 × 16 → 32, columns summed in 32 bits | WGSL has no high half of a product and no carry flag |
//!
//! Both moduli are 2^256 − c with a small c (33 and 129 bits), so what overflows the limbs is multiplied
//! by 2^(limbs·bits) mod m and added back at the bottom: one product a high limb for p, five (or eleven) for n.
//!
//! **Bounds.** Every element that a function takes or gives is *tight*: each limb is at most
//! [`Layout::tight_max`], a little over 2^bits, and nothing more is said about the value, which need not be
//! reduced. The [`straight`] builder proves for each function that tight inputs cannot overflow anything and that
//! the outputs are tight; so the shaders, which only ever hold tight elements, need no bounds of their own.
//! Numbers leave as [`Words`](Kind::Words) (eight 32-bit words, lowest first), either below 2^256 (`_words_weak`) or
//! fully reduced (`_words`).

mod modular;
mod scalar;
mod straight;
#[cfg(test)]
pub(super) mod tests;

use std::fmt::Write as _;

use k256::elliptic_curve::bigint::U512;

use super::HalfWindow;
use crate::gpu::{IntegerForm, Module};

use modular::{Arithmetic, Modulus};
use straight::{Builder, Program, Value};

/// What shaders import: `field` (the prime field) and `scalar` (numbers modulo the group order).
#[must_use]
pub(super) fn modules(form: IntegerForm, window: HalfWindow) -> Vec<Module> {
    let layout = Layout::of(form);
    let field = Arithmetic::new(layout, Modulus::FIELD);
    let scalar = Arithmetic::new(layout, Modulus::SCALAR);
    let words =
        "// 256 bits, lowest word first.\nstruct Words {\n    lo: vec4<u32>,\n    hi: vec4<u32>,\n}\n";
    vec![
        Module::new("words", words),
        Module::new("field", module_text(&field, &field.functions())),
        Module::new(
            "scalar",
            module_text(&scalar, &scalar.scalar_functions(window)) + &halves_struct(window),
        ),
    ]
}

fn halves_struct(window: HalfWindow) -> String {
    let word = |half: u32| move |word: u32| format!("k{half}_{word}: u32");
    let words: Vec<_> = (0..window.words()).map(word(1)).chain((0..window.words()).map(word(2))).collect();
    format!(
        "// Digits of the halves of a scalar, lowest first; the sign is bit 31 of the last word.\nstruct Halves {{ {} }}\n",
        words.join(", ")
    )
}

fn module_text(arithmetic: &Arithmetic, functions: &[Function]) -> String {
    let Arithmetic { layout, modulus, .. } = arithmetic;
    let mut text = String::from("#import words\n");
    let limbs: Vec<String> = (0..layout.limbs).map(|k| format!("v{k}: u32")).collect();
    let _ = writeln!(
        text,
        "// {} limbs of {} bits, lowest first.\nstruct {} {{ {} }}",
        layout.limbs,
        layout.bits,
        modulus.element,
        limbs.join(", ")
    );
    for function in functions {
        text.push_str(&function.wgsl(arithmetic));
    }
    text
}

/// How a number is cut into limbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    limbs: usize,
    bits: u32,
    /// Whether column sums have 64 bits.
    is_wide: bool,
}

impl Layout {
    const fn of(form: IntegerForm) -> Self {
        match form {
            IntegerForm::U64 => Self { limbs: 9, bits: 29, is_wide: true },
            IntegerForm::U32 => Self { limbs: 20, bits: 13, is_wide: false },
        }
    }

    /// Largest value of an exact limb.
    const fn mask(self) -> u64 {
        (1 << self.bits) - 1
    }

    /// Largest value of a tight limb: 1/64 over an exact one.
    const fn tight_max(self) -> u64 {
        (1 << self.bits) + (1 << (self.bits - 6))
    }

    /// Bits of all limbs together.
    fn total_bits(self) -> u32 {
        self.bits * u32::try_from(self.limbs).expect("few limbs")
    }

    /// Bits of the top limb that lie below 2^256.
    fn top_bits(self) -> u32 {
        256 + self.bits - self.total_bits()
    }

    /// A constant in exact limbs, as many as it takes.
    fn split(self, constant: &U512) -> Vec<u64> {
        let mask = U512::from_u64(self.mask());
        let mut rest = *constant;
        let mut limbs = Vec::new();
        while rest != U512::ZERO {
            limbs.push(rest.bitand(&mask).as_words()[0]);
            rest = rest.shr_vartime(self.bits);
        }
        limbs
    }
}

/// What a parameter or a result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A tight element.
    Element,
    /// 256 bits in eight words.
    Words,
    /// The digits of the two halves of a scalar: see [`scalar`].
    Halves,
}

/// A generated function.
#[derive(Debug)]
struct Function {
    name: String,
    /// What it computes and what it asks of its arguments.
    doc: &'static str,
    parameters: Vec<(&'static str, Kind)>,
    result: Kind,
    program: Program,
}

impl Function {
    fn wgsl(&self, arithmetic: &Arithmetic) -> String {
        let Arithmetic { layout, modulus, .. } = arithmetic;
        let ty = |kind| match kind {
            Kind::Element => modulus.element,
            Kind::Words => "Words",
            Kind::Halves => "Halves",
        };
        let mut inputs = Vec::new();
        for (name, kind) in &self.parameters {
            match kind {
                Kind::Element => inputs.extend((0..layout.limbs).map(|k| format!("{name}.v{k}"))),
                Kind::Words => inputs.extend(
                    ["lo", "hi"]
                        .iter()
                        .flat_map(|half| "xyzw".chars().map(move |c| format!("{name}.{half}.{c}"))),
                ),
                Kind::Halves => unreachable!("no function takes halves"),
            }
        }
        let (body, outputs) = self.program.wgsl(&inputs);
        let result = match self.result {
            Kind::Element => format!("{}({})", modulus.element, outputs.join(", ")),
            Kind::Words => {
                format!("Words(vec4({}), vec4({}))", outputs[..4].join(", "), outputs[4..].join(", "))
            }
            Kind::Halves => format!("Halves({})", outputs.join(", ")),
        };
        let parameters: Vec<_> =
            self.parameters.iter().map(|(name, kind)| format!("{name}: {}", ty(*kind))).collect();
        format!(
            "// {}\nfn {}({}) -> {} {{\n{body}    return {result};\n}}\n",
            self.doc,
            self.name,
            parameters.join(", "),
            ty(self.result),
        )
    }
}
