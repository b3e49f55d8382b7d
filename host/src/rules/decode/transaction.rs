//! Why an item of a block's transaction list is not a transaction.

use alloy_primitives::U256;

use super::{Fault, Item, Width};
use crate::{rules::Exception, spec::Fork};

/// What a field of a transaction means, which says what may be wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    ChainId,
    Nonce,
    GasPrice,
    PriorityFee,
    MaxFee,
    BlobFee,
    GasLimit,
    /// The recipient, or nothing for a creation.
    Recipient,
    /// The recipient of a type that creates no contracts; creation is the given fault.
    RecipientOrFault(Exception),
    Value,
    Data,
    AccessList,
    BlobHashes,
    Authorizations,
    LegacyV,
    Parity,
    R,
    S,
}

use Field::{
    AccessList, Authorizations, BlobFee, BlobHashes, ChainId, Data, GasLimit, GasPrice, LegacyV, MaxFee,
    Nonce, Parity, PriorityFee, R, Recipient, RecipientOrFault, S, Value,
};

const LEGACY: &[Field] = &[Nonce, GasPrice, GasLimit, Recipient, Value, Data, LegacyV, R, S];
const ACCESS_LIST: &[Field] =
    &[ChainId, Nonce, GasPrice, GasLimit, Recipient, Value, Data, AccessList, Parity, R, S];
const DYNAMIC_FEE: &[Field] =
    &[ChainId, Nonce, PriorityFee, MaxFee, GasLimit, Recipient, Value, Data, AccessList, Parity, R, S];
const BLOB: &[Field] = &[
    ChainId,
    Nonce,
    PriorityFee,
    MaxFee,
    GasLimit,
    RecipientOrFault(Exception::BlobTxContractCreation),
    Value,
    Data,
    AccessList,
    BlobFee,
    BlobHashes,
    Parity,
    R,
    S,
];
const SET_CODE: &[Field] = &[
    ChainId,
    Nonce,
    PriorityFee,
    MaxFee,
    GasLimit,
    RecipientOrFault(Exception::SetCodeTxContractCreation),
    Value,
    Data,
    AccessList,
    Authorizations,
    Parity,
    R,
    S,
];

/// The fault of `item` as a transaction of a block of `fork`, if its encoding has one.
pub(super) fn find_fault(fork: Fork, item: &Item<'_>) -> Result<(), Exception> {
    match item {
        Item::List(fields) => check_fields(LEGACY, fields),
        Item::Bytes(bytes) => {
            let Some((kind, mut rest)) = bytes.split_first() else {
                return Err(Exception::RlpInvalidHeader);
            };
            let (fields, since, too_early) = match kind {
                1 => (ACCESS_LIST, Fork::Berlin, Exception::AccessListTxPreFork),
                2 => (DYNAMIC_FEE, Fork::London, Exception::DynamicFeeTxPreFork),
                3 => (BLOB, Fork::Cancun, Exception::BlobTxPreFork),
                4 => (SET_CODE, Fork::Prague, Exception::SetCodeTxPreFork),
                _ => return Err(Exception::TypeNotSupported),
            };
            if fork < since {
                return Err(too_early);
            }
            let payload = match Item::next(&mut rest) {
                Some(Item::List(payload)) if rest.is_empty() => payload,
                Some(_) if rest.is_empty() => return Err(Exception::RlpInvalidHeader),
                _ => return Err(Exception::RlpErrorSize),
            };
            // The network form wraps the transaction itself in a list, with its blobs after it.
            let mut first = payload;
            if *kind == 3 && matches!(Item::next(&mut first), Some(Item::List(_))) {
                return Err(Exception::BlobTxWithFullBlobs);
            }
            check_fields(fields, payload)
        }
    }
}

fn check_fields(fields: &[Field], mut payload: &[u8]) -> Result<(), Exception> {
    let mut items = Vec::with_capacity(fields.len());
    while !payload.is_empty() {
        items.push(Item::next(&mut payload).ok_or(Exception::RlpErrorSize)?);
        if items.len() > fields.len() {
            return Err(Exception::RlpTooManyElements);
        }
    }
    for (field, item) in fields.iter().zip(&items) {
        check_field(*field, item)?;
    }
    if items.len() < fields.len() {
        return Err(Exception::RlpTooFewElements);
    }
    check_price(fields, &items)
}

fn check_field(field: Field, item: &Item<'_>) -> Result<(), Exception> {
    match field {
        AccessList => check_access_list(item),
        Authorizations => check_authorizations(item),
        BlobHashes => check_list_of_words(item),
        Recipient => {
            if matches!(item, Item::Bytes([])) {
                Ok(())
            } else {
                check_recipient(item)
            }
        }
        RecipientOrFault(fault) => {
            if matches!(item, Item::Bytes([])) {
                Err(fault)
            } else {
                check_recipient(item)
            }
        }
        LegacyV => match item.check(Width::Number(8)) {
            Ok(()) => match item.as_u64() {
                Some(27 | 28 | 35..) => Ok(()),
                _ => Err(Exception::InvalidLegacyV),
            },
            Err(Fault::LeadingZeros) => Err(Exception::RlpLeadingZerosV),
            Err(_) => Err(Exception::InvalidLegacyV),
        },
        Parity => match item.bytes() {
            Ok([] | [1]) => Ok(()),
            Ok([0, ..]) => Err(Exception::RlpLeadingZerosV),
            _ => Err(Exception::InvalidSignature),
        },
        _ => check_scalar(field, item),
    }
}

/// The fields that are plain numbers or bytes: width, and the class of each fault.
fn check_scalar(field: Field, item: &Item<'_>) -> Result<(), Exception> {
    use Exception as E;
    // (width, too long, leading zeros, list)
    let other = E::RlpStructuresEncoding;
    let (width, long, zeros, list) = match field {
        ChainId => (Width::Number(8), E::InvalidChainId, E::InvalidChainId, other),
        Nonce => (Width::Number(8), E::NonceOverflow, E::RlpLeadingZerosNonce, E::RlpInvalidNonce),
        GasPrice => (Width::Number(32), E::GasPriceOverflow, E::RlpLeadingZerosGasPrice, other),
        PriorityFee => (Width::Number(32), E::PriorityOverflow, E::RlpLeadingZerosPriorityFee, other),
        MaxFee => (Width::Number(32), E::GasPriceOverflow, E::RlpLeadingZerosBaseFee, other),
        BlobFee => (Width::Number(32), E::GasPriceOverflow, other, other),
        GasLimit => {
            (Width::Number(8), E::GasLimitOverflow, E::RlpLeadingZerosGasLimit, E::RlpInvalidGasLimit)
        }
        Value => (Width::Number(32), E::ValueOverflow, E::RlpLeadingZerosValue, E::RlpInvalidValue),
        R => (Width::Number(32), E::RlpInvalidSignatureR, E::RlpLeadingZerosR, E::RlpInvalidSignatureR),
        S => (Width::Number(32), E::RlpInvalidSignatureS, E::RlpLeadingZerosS, E::RlpInvalidSignatureS),
        _ => (Width::Any, other, other, E::RlpInvalidData),
    };
    item.check(width).map_err(|fault| match fault {
        Fault::TooLong => long,
        Fault::LeadingZeros => zeros,
        Fault::IsList => list,
        Fault::TooShort => other,
    })
}

/// Prices of more than 128 bits. The rules allow them, alloy's types do not, and no account can
/// pay them: for one unit of gas they already exceed the supply of ether by far.
fn check_price(fields: &[Field], items: &[Item<'_>]) -> Result<(), Exception> {
    let number_of = |wanted: Field| {
        fields.iter().position(|field| *field == wanted).and_then(|at| items.get(at)).and_then(Item::as_u256)
    };
    let is_wide = |number: U256| number.bit_len() > 128;
    let max_fee = number_of(GasPrice).or_else(|| number_of(MaxFee));
    if let (Some(priority), Some(max_fee)) = (number_of(PriorityFee), max_fee)
        && is_wide(priority)
        && priority > max_fee
    {
        return Err(Exception::PriorityFeeAboveMaxFee);
    }
    if max_fee.is_some_and(is_wide) || number_of(BlobFee).is_some_and(is_wide) {
        return Err(Exception::PriceProductOverflow);
    }
    Ok(())
}

fn check_recipient(item: &Item<'_>) -> Result<(), Exception> {
    item.check(Width::Exactly(20)).map_err(|fault| match fault {
        Fault::TooShort => Exception::AddressTooShort,
        Fault::TooLong => Exception::AddressTooLong,
        Fault::IsList | Fault::LeadingZeros => Exception::RlpInvalidTo,
    })
}

/// Entries of an address and a list of keys (EIP-2930).
fn check_access_list(item: &Item<'_>) -> Result<(), Exception> {
    let &Item::List(mut entries) = item else { return Err(Exception::RlpStructuresEncoding) };
    while !entries.is_empty() {
        let Some(Item::List(mut entry)) = Item::next(&mut entries) else {
            return Err(Exception::RlpStructuresEncoding);
        };
        let address = Item::next(&mut entry).ok_or(Exception::RlpTooFewElements)?;
        address.check(Width::Exactly(20)).map_err(|fault| match fault {
            Fault::TooShort => Exception::AccessListAddressTooShort,
            Fault::TooLong => Exception::AccessListAddressTooLong,
            Fault::IsList | Fault::LeadingZeros => Exception::RlpStructuresEncoding,
        })?;
        let Some(Item::List(mut keys)) = Item::next(&mut entry) else {
            return Err(Exception::RlpStructuresEncoding);
        };
        while !keys.is_empty() {
            let key = Item::next(&mut keys).ok_or(Exception::RlpErrorSize)?;
            key.check(Width::Exactly(32)).map_err(|fault| match fault {
                Fault::TooShort => Exception::AccessListStorageTooShort,
                Fault::TooLong => Exception::AccessListStorageTooLong,
                Fault::IsList | Fault::LeadingZeros => Exception::RlpStructuresEncoding,
            })?;
        }
        if !entry.is_empty() {
            return Err(Exception::RlpTooManyElements);
        }
    }
    Ok(())
}

/// Tuples of chain id, address, nonce, y parity, r, s (EIP-7702).
fn check_authorizations(item: &Item<'_>) -> Result<(), Exception> {
    let format = Exception::InvalidAuthorizationFormat;
    let &Item::List(mut tuples) = item else { return Err(format) };
    while !tuples.is_empty() {
        let Some(Item::List(mut tuple)) = Item::next(&mut tuples) else { return Err(format) };
        for (at, width) in [
            Width::Number(32),
            Width::Exactly(20),
            Width::Number(8),
            Width::Number(1),
            Width::Number(32),
            Width::Number(32),
        ]
        .into_iter()
        .enumerate()
        {
            let field = Item::next(&mut tuple).ok_or(format)?;
            field.check(width).map_err(|fault| match fault {
                Fault::TooLong if at >= 3 => Exception::InvalidAuthoritySignature,
                _ => format,
            })?;
        }
        if !tuple.is_empty() {
            return Err(format);
        }
    }
    Ok(())
}

fn check_list_of_words(item: &Item<'_>) -> Result<(), Exception> {
    let &Item::List(mut words) = item else { return Err(Exception::RlpStructuresEncoding) };
    while !words.is_empty() {
        let is_word = Item::next(&mut words).is_some_and(|word| word.check(Width::Exactly(32)).is_ok());
        if !is_word {
            return Err(Exception::RlpStructuresEncoding);
        }
    }
    Ok(())
}
