//! The JSON vocabulary shared by all formats: scalars that remember what they were, and lists that
//! are converted row by row.
//!
//! serde's own errors do not say which field they are about, and a list of raw rows can be a
//! hundred times larger in memory than its text. So a [`Scalar`] accepts any JSON value and is
//! judged with its field's name at hand, and [`Rows`] turns each row into its final form before it
//! reads the next.

use std::{borrow::Cow, fmt, marker::PhantomData};

use alloy_primitives::{Address, B256, Bytes, FixedBytes, U256, hex};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::error::{FieldFault, one_line};

/// Longest part of serde's own words that an error repeats, in characters.
const JSON_ERROR_CHARS_MAX: usize = 300;

/// Parses a whole JSON text; the error says field (where known), line and column.
pub(super) fn from_slice<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T, String> {
    serde_json::from_slice(json).map_err(|error| words(&error))
}

/// An error of serde's as one line of bounded length.
pub(super) fn words(error: &serde_json::Error) -> String {
    one_line(&error.to_string(), JSON_ERROR_CHARS_MAX)
}

/// A JSON value that should be text or a number.
#[derive(Debug, Clone, Default)]
pub(super) enum Scalar<'a> {
    /// No such field.
    #[default]
    Absent,
    Null,
    Text(Cow<'a, str>),
    Number(u64),
    /// Something else: what it is, in words.
    Other(&'static str),
}

impl Scalar<'_> {
    /// Whether the field is absent or null.
    pub(super) const fn is_none(&self) -> bool {
        matches!(self, Self::Absent | Self::Null)
    }

    pub(super) fn text(&self, field: &str) -> Result<&str, FieldFault> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(self.unsuitable(field)),
        }
    }

    /// A quantity of the JSON interface: hexadecimal with prefix. Leading zeros are let pass,
    /// since the execution-spec tests write them.
    pub(super) fn quantity<T: TryFrom<U256>>(&self, field: &str) -> Result<T, FieldFault> {
        let value = parse_quantity(self.text(field)?).map_err(|reason| FieldFault::new(field, reason))?;
        narrow(value, field)
    }

    /// A number as genesis files have them: hexadecimal with prefix, decimal text, or a JSON number.
    pub(super) fn number<T: TryFrom<U256>>(&self, field: &str) -> Result<T, FieldFault> {
        let value = match self {
            Self::Number(number) => U256::from(*number),
            Self::Text(text) => parse_number(text).map_err(|reason| FieldFault::new(field, reason))?,
            _ => return Err(self.unsuitable(field)),
        };
        narrow(value, field)
    }

    pub(super) fn hash(&self, field: &str) -> Result<B256, FieldFault> {
        self.fixed(field)
    }

    pub(super) fn address(&self, field: &str) -> Result<Address, FieldFault> {
        self.fixed(field).map(Address)
    }

    pub(super) fn fixed<const N: usize>(&self, field: &str) -> Result<FixedBytes<N>, FieldFault> {
        parse_fixed(self.text(field)?).map_err(|reason| FieldFault::new(field, reason))
    }

    pub(super) fn bytes(&self, field: &str) -> Result<Bytes, FieldFault> {
        parse_bytes(self.text(field)?).map_err(|reason| FieldFault::new(field, reason))
    }

    /// `None` for an absent or null field, else what `read` makes of it.
    pub(super) fn optional<'s, T>(
        &'s self,
        field: &str,
        read: impl FnOnce(&'s Self, &str) -> Result<T, FieldFault>,
    ) -> Result<Option<T>, FieldFault> {
        if self.is_none() { Ok(None) } else { read(self, field).map(Some) }
    }

    fn unsuitable(&self, field: &str) -> FieldFault {
        let what = match self {
            Self::Absent => return FieldFault::new(field, "missing"),
            Self::Null => "null",
            Self::Text(_) => "text",
            Self::Number(_) => "a number",
            Self::Other(what) => what,
        };
        FieldFault::new(field, format!("{what} where text belongs"))
    }
}

fn narrow<T: TryFrom<U256>>(value: U256, field: &str) -> Result<T, FieldFault> {
    let bits = size_of::<T>() * 8;
    T::try_from(value).map_err(|_| FieldFault::new(field, format!("more than {bits} bits")))
}

/// `0x` and at least one hexadecimal digit.
pub(super) fn parse_quantity(text: &str) -> Result<U256, &'static str> {
    let digits = text.strip_prefix("0x").ok_or("not a hexadecimal number with 0x")?;
    if digits.is_empty() { Err("no digits") } else { parse_digits(digits) }
}

/// A quantity, or decimal digits.
pub(super) fn parse_number(text: &str) -> Result<U256, &'static str> {
    if text.starts_with("0x") {
        return parse_quantity(text);
    }
    if text.is_empty() || !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err("neither a decimal nor a hexadecimal number");
    }
    let digits = text.trim_start_matches('0');
    if digits.len() > 78 {
        return Err("more than 256 bits");
    }
    if digits.is_empty() { Ok(U256::ZERO) } else { digits.parse().map_err(|_| "more than 256 bits") }
}

/// A slot or slot value: up to 32 bytes as hexadecimal digits, with or without prefix, `0x` alone
/// for zero (geth reads the storage of genesis accounts like this).
pub(super) fn parse_word(text: &str) -> Result<U256, &'static str> {
    parse_digits(text.strip_prefix("0x").unwrap_or(text))
}

/// Hexadecimal digits; none are zero.
fn parse_digits(digits: &str) -> Result<U256, &'static str> {
    let digits = digits.trim_start_matches('0').as_bytes();
    let mut padded = [b'0'; 64];
    let start = padded.len().checked_sub(digits.len()).ok_or("more than 256 bits")?;
    padded[start..].copy_from_slice(digits);
    let mut bytes = [0; 32];
    hex::decode_to_slice(padded, &mut bytes).map_err(|_| "not hexadecimal digits")?;
    Ok(U256::from_be_bytes(bytes))
}

/// Exactly `N` bytes; the prefix may be missing (addresses in genesis files).
pub(super) fn parse_fixed<const N: usize>(text: &str) -> Result<FixedBytes<N>, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.len() != 2 * N {
        return Err(format!("{} hexadecimal digits instead of {}", digits.len(), 2 * N));
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| "not hexadecimal digits".to_owned())?;
    Ok(FixedBytes(bytes))
}

/// Any number of bytes; the prefix may be missing.
pub(super) fn parse_bytes(text: &str) -> Result<Bytes, &'static str> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if !digits.len().is_multiple_of(2) {
        return Err("an odd number of hexadecimal digits");
    }
    hex::decode(digits).map(Bytes::from).map_err(|_| "not hexadecimal digits")
}

impl<'a, 'de: 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("text or a number")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Other("a negative number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Other("a fraction or a number beyond 64 bits"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Other("true or false"))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("an object"))
    }
}

/// An element of a JSON list in its final form.
pub(super) trait Row: Sized {
    /// The element as it stands in the text.
    type Raw<'de>: Deserialize<'de>;
    /// Name of the list, for errors.
    const LIST: &'static str;
    /// Most elements of the list.
    const COUNT_MAX: usize;

    fn from_raw(raw: Self::Raw<'_>) -> Result<Self, FieldFault>;
}

/// A JSON list whose elements are converted as they are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rows<T>(pub(super) Vec<T>);

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Row> Deserialize<'de> for Rows<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(RowsVisitor(PhantomData)).map(Self)
    }
}

struct RowsVisitor<T>(PhantomData<T>);

impl<'de, T: Row> Visitor<'de> for RowsVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the list {}", T::LIST)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        loop {
            let place = format_args!("{}[{}]", T::LIST, rows.len()).to_string();
            let raw = match seq.next_element::<T::Raw<'de>>() {
                Ok(Some(raw)) => raw,
                Ok(None) => return Ok(rows),
                Err(error) => return Err(A::Error::custom(format_args!("{place}: {error}"))),
            };
            if rows.len() == T::COUNT_MAX {
                return Err(A::Error::custom(format_args!(
                    "{}: more than {} entries",
                    T::LIST,
                    T::COUNT_MAX
                )));
            }
            rows.push(T::from_raw(raw).map_err(|fault| A::Error::custom(fault.within(&place)))?);
        }
    }
}

/// A JSON value of any shape, but with at most [`Self::NODES_MAX`] values in it: held in memory,
/// a value needs far more than its text.
#[derive(Debug)]
pub(super) struct BoundedValue(pub(super) Value);

impl BoundedValue {
    pub(super) const NODES_MAX: usize = 10_000;
}

impl<'de> Deserialize<'de> for BoundedValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut nodes_left = Self::NODES_MAX;
        BoundedNode(&mut nodes_left).deserialize(deserializer).map(Self)
    }
}

/// Reads one value and those in it, counting down.
struct BoundedNode<'n>(&'n mut usize);

impl<'de> DeserializeSeed<'de> for BoundedNode<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        *self.0 = self.0.checked_sub(1).ok_or_else(|| {
            D::Error::custom(format_args!("more than {} values in it", BoundedValue::NODES_MAX))
        })?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for BoundedNode<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(BoundedNode(&mut *self.0))? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(BoundedNode(&mut *self.0))?;
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format_args!("{name}: twice")));
            }
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_each_spelling_and_no_other() {
        assert_eq!(parse_quantity("0x0"), Ok(U256::ZERO));
        assert_eq!(parse_quantity("0x00ff"), Ok(U256::from(255)));
        assert_eq!(parse_quantity(&format!("0x{}", "f".repeat(64))), Ok(U256::MAX));
        assert_eq!(parse_number("0010"), Ok(U256::from(10)));
        assert_eq!(parse_number(&U256::MAX.to_string()), Ok(U256::MAX));
        assert_eq!(parse_word("0x"), Ok(U256::ZERO));
        assert_eq!(parse_word("a"), Ok(U256::from(10)));
        for bad in ["", "0x", "10", "x1", "0xg", "0x+1", "0x 1", "-0x1", "0X1"] {
            assert!(parse_quantity(bad).is_err(), "{bad:?}");
        }
        let beyond = format!("0x1{}", "0".repeat(64));
        assert_eq!(parse_quantity(&beyond), Err("more than 256 bits"));
        for bad in ["", "0x", "-1", "1e3", "ff", "1 ", &U256::MAX.to_string().replace('1', "9")] {
            assert!(parse_number(bad).is_err(), "{bad:?}");
        }
        for bad in ["0xzz", "0x123", "é"] {
            assert!(parse_bytes(bad).is_err(), "{bad:?}");
        }
        assert!(parse_fixed::<2>("0x12345").is_err());
    }

    #[test]
    fn a_scalar_of_another_kind_is_named_with_its_field() {
        for (json, reason) in [
            ("null", "null where text belongs"),
            ("5", "a number where text belongs"),
            ("-5", "a negative number where text belongs"),
            ("{\"a\":[1]}", "an object where text belongs"),
            ("[[]]", "a list where text belongs"),
            ("true", "true or false where text belongs"),
        ] {
            let scalar: Scalar<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(scalar.quantity::<u64>("gas").unwrap_err(), FieldFault::new("gas", reason));
        }
        let wide: Scalar<'_> = serde_json::from_str("\"0x10000000000000000\"").unwrap();
        assert_eq!(wide.quantity::<u64>("gas").unwrap_err().to_string(), "gas: more than 64 bits");
    }
}
