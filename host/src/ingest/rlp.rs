//! A strict reader of RLP lists: it accepts only the canonical encoding and never looks past the
//! end of the list it was given.

use alloy_primitives::{Address, B256, U256};
use alloy_rlp::Header;

use super::error::RlpFault;

/// The items of a list that have not been read yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Items<'a> {
    rest: &'a [u8],
}

/// One item of a list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    /// The item with its length prefix.
    pub(super) encoded: &'a [u8],
    /// The item without it.
    pub(super) payload: &'a [u8],
    /// Whether it is a list.
    pub(super) is_list: bool,
}

impl<'a> Items<'a> {
    /// Items of a list's payload.
    pub(super) const fn of_payload(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    /// Items of the list that `bytes` are, first byte to last.
    pub(super) fn of_list(bytes: &'a [u8]) -> Result<Self, RlpFault> {
        let mut outer = Self { rest: bytes };
        let list = outer.list()?;
        if outer.is_empty() { Ok(list) } else { Err(RlpFault::TrailingBytes) }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next item, whatever it is.
    pub(super) fn item(&mut self) -> Result<Item<'a>, RlpFault> {
        if self.rest.is_empty() {
            return Err(RlpFault::TooFewItems);
        }
        let start = self.rest;
        let mut after_prefix = start;
        let header = Header::decode(&mut after_prefix).map_err(prefix_fault)?;
        let payload = after_prefix.get(..header.payload_length).ok_or(RlpFault::UnexpectedEnd)?;
        let encoded_len = start.len() - after_prefix.len() + payload.len();
        let (encoded, rest) = start.split_at(encoded_len);
        self.rest = rest;
        Ok(Item { encoded, payload, is_list: header.list })
    }

    pub(super) fn list(&mut self) -> Result<Self, RlpFault> {
        let item = self.item()?;
        if item.is_list { Ok(Self::of_payload(item.payload)) } else { Err(RlpFault::UnexpectedString) }
    }

    pub(super) fn string(&mut self) -> Result<&'a [u8], RlpFault> {
        let item = self.item()?;
        if item.is_list { Err(RlpFault::UnexpectedList) } else { Ok(item.payload) }
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], RlpFault> {
        let string = self.string()?;
        string.try_into().map_err(|_| RlpFault::Width { expected: N, got: string.len() })
    }

    pub(super) fn hash(&mut self) -> Result<B256, RlpFault> {
        self.fixed().map(B256::new)
    }

    pub(super) fn address(&mut self) -> Result<Address, RlpFault> {
        self.fixed().map(Address::new)
    }

    /// A recipient: an address, or nothing.
    pub(super) fn address_or_empty(&mut self) -> Result<Option<Address>, RlpFault> {
        match self.string()? {
            [] => Ok(None),
            string => string
                .try_into()
                .map(|bytes| Some(Address::new(bytes)))
                .map_err(|_| RlpFault::Width { expected: 20, got: string.len() }),
        }
    }

    pub(super) fn u256(&mut self) -> Result<U256, RlpFault> {
        self.number::<32>().map(U256::from_be_bytes)
    }

    pub(super) fn u128(&mut self) -> Result<u128, RlpFault> {
        self.number().map(u128::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, RlpFault> {
        self.number().map(u64::from_be_bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, RlpFault> {
        self.number().map(u8::from_be_bytes)
    }

    /// A number of at most `N` bytes, big-endian.
    fn number<const N: usize>(&mut self) -> Result<[u8; N], RlpFault> {
        let string = self.string()?;
        if string.first() == Some(&0) {
            return Err(RlpFault::LeadingZeros);
        }
        let mut number = [0; N];
        let start = N
            .checked_sub(string.len())
            .ok_or(RlpFault::Overflow { bits: u16::try_from(N * 8).unwrap_or(u16::MAX) })?;
        number[start..].copy_from_slice(string);
        Ok(number)
    }

    /// Ends the list: nothing may be left.
    pub(super) const fn end(self) -> Result<(), RlpFault> {
        if self.rest.is_empty() { Ok(()) } else { Err(RlpFault::TooManyItems) }
    }
}

const fn prefix_fault(error: alloy_rlp::Error) -> RlpFault {
    match error {
        alloy_rlp::Error::LeadingZero
        | alloy_rlp::Error::NonCanonicalSize
        | alloy_rlp::Error::NonCanonicalSingleByte => RlpFault::LongLength,
        // A length beyond what the bytes hold, up to one beyond the address space.
        _ => RlpFault::UnexpectedEnd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(bytes: &[u8]) -> Result<u64, RlpFault> {
        Items::of_payload(bytes).u64()
    }

    #[test]
    fn numbers_have_one_encoding() {
        assert_eq!(first(&[0x80]), Ok(0));
        assert_eq!(first(&[0x7f]), Ok(0x7f));
        assert_eq!(first(&[0x81, 0x80]), Ok(0x80));
        assert_eq!(first(&[0x00]), Err(RlpFault::LeadingZeros));
        assert_eq!(first(&[0x82, 0x00, 0x80]), Err(RlpFault::LeadingZeros));
        assert_eq!(first(&[0x81, 0x7f]), Err(RlpFault::LongLength));
        assert_eq!(first(&[0xb8, 0x01, 0x80]), Err(RlpFault::LongLength));
        assert_eq!(first(&[0x89, 1, 0, 0, 0, 0, 0, 0, 0, 0]), Err(RlpFault::Overflow { bits: 64 }));
        assert_eq!(first(&[0xc0]), Err(RlpFault::UnexpectedList));
        assert_eq!(first(&[0x82, 0x80]), Err(RlpFault::UnexpectedEnd));
        assert_eq!(first(&[]), Err(RlpFault::TooFewItems));
    }

    #[test]
    fn lengths_beyond_the_address_space_are_faults() {
        let mut longest = vec![0xff];
        longest.extend([0xff; 8]);
        assert_eq!(Items::of_list(&longest).unwrap_err(), RlpFault::UnexpectedEnd);
        assert_eq!(Items::of_list(&[0xbf]).unwrap_err(), RlpFault::UnexpectedEnd);
        assert_eq!(Items::of_list(&[0xc0, 0x00]).unwrap_err(), RlpFault::TrailingBytes);
        assert_eq!(Items::of_list(&[0x80]).unwrap_err(), RlpFault::UnexpectedString);
    }
}
