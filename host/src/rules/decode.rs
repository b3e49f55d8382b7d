//! Why the bytes of a block are not a block.
//!
//! alloy decodes blocks, and says of one that it cannot decode little more than that. This walk
//! over the raw RLP finds the part at fault and its class, where the rules for encoding leave a
//! reason: it never accepts a block, it explains a refusal. It bounds itself: two levels of lists
//! below a transaction, each byte visited a constant number of times.

use alloy_primitives::U256;
use alloy_rlp::Header as RlpHeader;

use super::{Exception, InvalidBlock};
use crate::spec::{ChainSpec, Fork};

mod transaction;

/// Explains why the bytes of a block do not decode, or why a transaction that decodes with its
/// blobs has no place in one. To be asked about such bytes only.
pub fn explain_undecodable_block(spec: &ChainSpec, rlp: &[u8]) -> InvalidBlock {
    find_fault(spec, rlp).err().unwrap_or_else(|| {
        InvalidBlock::block(Exception::RlpStructuresEncoding, "not decodable for an unknown reason")
    })
}

fn find_fault(spec: &ChainSpec, rlp: &[u8]) -> Result<(), InvalidBlock> {
    let structure = |detail: &str| InvalidBlock::block(Exception::RlpStructuresEncoding, detail.to_owned());
    let mut rest = rlp;
    let Some(Item::List(mut block)) = Item::next(&mut rest) else {
        return Err(structure("the block is not a list"));
    };
    if !rest.is_empty() {
        return Err(structure("bytes after the block"));
    }
    let Some(Item::List(header)) = Item::next(&mut block) else {
        return Err(structure("the header is not a list"));
    };
    let fork = explain_header(spec, header)?;
    let Some(Item::List(mut transactions)) = Item::next(&mut block) else {
        return Err(structure("the transactions are not a list"));
    };
    let mut index = 0;
    while !transactions.is_empty() {
        let item = Item::next(&mut transactions)
            .ok_or_else(|| InvalidBlock::transaction(Exception::RlpErrorSize, index, ""))?;
        transaction::find_fault(fork, &item)
            .map_err(|exception| InvalidBlock::transaction(exception, index, ""))?;
        index += 1;
    }
    let Some(Item::List(mut ommers)) = Item::next(&mut block) else {
        return Err(structure("the ommers are not a list"));
    };
    while !ommers.is_empty() {
        let Some(Item::List(ommer)) = Item::next(&mut ommers) else {
            return Err(structure("an ommer is not a list"));
        };
        explain_header(spec, ommer)?;
    }
    explain_withdrawals(fork, &mut block)?;
    if !block.is_empty() {
        return Err(structure("more parts than a block has"));
    }
    Ok(())
}

/// Widths of the header's fields, in order. All from the base fee on are optional to the decoder.
const HEADER_FIELDS: [(&str, Width); 23] = [
    ("parentHash", Width::Exactly(32)),
    ("ommersHash", Width::Exactly(32)),
    ("beneficiary", Width::Exactly(20)),
    ("stateRoot", Width::Exactly(32)),
    ("transactionsRoot", Width::Exactly(32)),
    ("receiptsRoot", Width::Exactly(32)),
    ("logsBloom", Width::Exactly(256)),
    ("difficulty", Width::Number(32)),
    ("number", Width::Number(8)),
    ("gasLimit", Width::Number(8)),
    ("gasUsed", Width::Number(8)),
    ("timestamp", Width::Number(8)),
    ("extraData", Width::Any),
    ("mixHash", Width::Exactly(32)),
    ("nonce", Width::Exactly(8)),
    ("baseFeePerGas", Width::Number(8)),
    ("withdrawalsRoot", Width::Exactly(32)),
    ("blobGasUsed", Width::Number(8)),
    ("excessBlobGas", Width::Number(8)),
    ("parentBeaconBlockRoot", Width::Exactly(32)),
    ("requestsHash", Width::Exactly(32)),
    ("blockAccessListHash", Width::Exactly(32)),
    ("slotNumber", Width::Number(8)),
];

/// Index of the number and of the timestamp among the header's fields.
const NUMBER_FIELD: usize = 8;
const TIMESTAMP_FIELD: usize = 11;

/// How many bytes a field has.
#[derive(Debug, Clone, Copy)]
enum Width {
    /// As many as it likes.
    Any,
    /// Exactly so many.
    Exactly(usize),
    /// At most so many, without leading zeros.
    Number(usize),
}

/// How many fields the header of a block of `fork` has.
const fn header_field_count(fork: Fork) -> usize {
    match fork {
        Fork::Amsterdam => 23,
        _ if fork as u8 >= Fork::Prague as u8 => 21,
        _ if fork as u8 >= Fork::Cancun as u8 => 20,
        _ if fork as u8 >= Fork::Shanghai as u8 => 17,
        _ if fork as u8 >= Fork::London as u8 => 16,
        _ => 15,
    }
}

/// The fork of a header, if nothing is wrong with its encoding.
fn explain_header(spec: &ChainSpec, mut header: &[u8]) -> Result<Fork, InvalidBlock> {
    let mut fields = Vec::with_capacity(HEADER_FIELDS.len());
    while !header.is_empty() {
        let item = Item::next(&mut header).ok_or_else(|| {
            InvalidBlock::block(Exception::RlpStructuresEncoding, "the header's RLP is broken")
        })?;
        fields.push(item);
        if fields.len() > HEADER_FIELDS.len() {
            return Err(InvalidBlock::block(
                Exception::IncorrectBlockFormat,
                "the header has more fields than any fork's",
            ));
        }
    }
    let number_at = |at: usize| fields.get(at).and_then(Item::as_u64);
    let fork = match (number_at(NUMBER_FIELD), number_at(TIMESTAMP_FIELD)) {
        (Some(number), Some(timestamp)) => Some(spec.fork_at(number, timestamp)),
        _ => None,
    };
    if let Some(fork) = fork
        && fields.len() != header_field_count(fork)
    {
        return Err(InvalidBlock::block(
            Exception::IncorrectBlockFormat,
            format!("the header has {} fields in {fork}", fields.len()),
        ));
    }
    for ((name, width), field) in HEADER_FIELDS.into_iter().zip(&fields) {
        field.check(width).map_err(|fault| {
            let exception = match (fault, width) {
                (Fault::TooLong, Width::Number(8)) => Exception::RlpInvalidFieldOverflow64,
                _ => Exception::RlpStructuresEncoding,
            };
            InvalidBlock::block(exception, format!("header field {name}"))
        })?;
    }
    fork.ok_or_else(|| InvalidBlock::block(Exception::IncorrectBlockFormat, "the header has too few fields"))
}

/// The withdrawals: index, validator, address, amount each (EIP-4895).
fn explain_withdrawals(fork: Fork, block: &mut &[u8]) -> Result<(), InvalidBlock> {
    let structure = |detail: &str| InvalidBlock::block(Exception::RlpStructuresEncoding, detail.to_owned());
    if fork < Fork::Shanghai {
        return if block.is_empty() {
            Ok(())
        } else {
            Err(InvalidBlock::block(Exception::IncorrectBlockFormat, "withdrawals before Shanghai"))
        };
    }
    if block.is_empty() {
        return Err(InvalidBlock::block(Exception::RlpWithdrawalsNotRead, ""));
    }
    let Some(Item::List(mut withdrawals)) = Item::next(block) else {
        return Err(InvalidBlock::block(Exception::RlpWithdrawalsNotRead, "the withdrawals are not a list"));
    };
    while !withdrawals.is_empty() {
        let Some(Item::List(mut withdrawal)) = Item::next(&mut withdrawals) else {
            return Err(structure("a withdrawal is not a list"));
        };
        for width in [Width::Number(8), Width::Number(8), Width::Exactly(20), Width::Number(8)] {
            let field = Item::next(&mut withdrawal).ok_or_else(|| structure("a withdrawal lacks fields"))?;
            field.check(width).map_err(|fault| {
                let exception = match (fault, width) {
                    (Fault::TooLong, Width::Number(_)) => Exception::RlpInvalidFieldOverflow64,
                    (Fault::TooLong | Fault::TooShort, Width::Exactly(_)) => Exception::RlpInvalidAddress,
                    _ => Exception::RlpStructuresEncoding,
                };
                InvalidBlock::block(exception, "withdrawal")
            })?;
        }
        if !withdrawal.is_empty() {
            return Err(structure("a withdrawal has more than four fields"));
        }
    }
    Ok(())
}

/// One RLP item: the bytes of a string, or the payload of a list.
#[derive(Debug, Clone, Copy)]
enum Item<'a> {
    Bytes(&'a [u8]),
    List(&'a [u8]),
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    IsList,
    TooShort,
    TooLong,
    LeadingZeros,
}

impl<'a> Item<'a> {
    /// Takes the next item off `rlp`; `None` if there is none, or none in canonical form.
    fn next(rlp: &mut &'a [u8]) -> Option<Self> {
        let header = RlpHeader::decode(rlp).ok()?;
        let (payload, rest) = rlp.split_at_checked(header.payload_length)?;
        *rlp = rest;
        Some(if header.list { Self::List(payload) } else { Self::Bytes(payload) })
    }

    const fn bytes(&self) -> Result<&'a [u8], Fault> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::List(_) => Err(Fault::IsList),
        }
    }

    fn check(&self, width: Width) -> Result<(), Fault> {
        let bytes = self.bytes()?;
        match width {
            Width::Any => Ok(()),
            Width::Exactly(length) if bytes.len() < length => Err(Fault::TooShort),
            Width::Exactly(length) if bytes.len() > length => Err(Fault::TooLong),
            Width::Exactly(_) => Ok(()),
            Width::Number(length) if bytes.len() > length => Err(Fault::TooLong),
            Width::Number(_) if bytes.first() == Some(&0) => Err(Fault::LeadingZeros),
            Width::Number(_) => Ok(()),
        }
    }

    /// The number that the item is, if it is one of at most 64 bits.
    fn as_u64(&self) -> Option<u64> {
        self.check(Width::Number(8)).ok()?;
        let bytes = self.bytes().ok()?;
        Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The number that the item is, if it is one of at most 256 bits.
    fn as_u256(&self) -> Option<U256> {
        self.check(Width::Number(32)).ok()?;
        U256::try_from_be_slice(self.bytes().ok()?)
    }
}

#[cfg(test)]
mod tests;
