//! Blocks that do not decode, made by spoiling the raw fields of ones that do.

use alloy_consensus::{Block, BlockBody, Header, TxEnvelope};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::U256;
use alloy_rlp::{Decodable, Encodable};

use super::*;

/// An RLP tree to spoil.
#[derive(Debug, Clone)]
enum Tree {
    Bytes(Vec<u8>),
    List(Vec<Self>),
}

impl Tree {
    fn parse(rlp: &[u8]) -> Self {
        let mut rest = rlp;
        Self::of(Item::next(&mut rest).unwrap())
    }

    fn of(item: Item<'_>) -> Self {
        match item {
            Item::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            Item::List(mut payload) => {
                let mut items = vec![];
                while !payload.is_empty() {
                    items.push(Self::of(Item::next(&mut payload).unwrap()));
                }
                Self::List(items)
            }
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![];
        match self {
            Self::Bytes(bytes) => bytes.as_slice().encode(&mut out),
            Self::List(items) => {
                let payload: Vec<u8> = items.iter().flat_map(Self::encode).collect();
                RlpHeader { list: true, payload_length: payload.len() }.encode(&mut out);
                out.extend(payload);
            }
        }
        out
    }

    fn list(&mut self) -> &mut Vec<Self> {
        match self {
            Self::List(items) => items,
            Self::Bytes(_) => panic!("not a list"),
        }
    }
}

fn bytes(bytes: &[u8]) -> Tree {
    Tree::Bytes(bytes.to_vec())
}

fn word() -> Tree {
    bytes(&[1; 32])
}

/// An empty Prague block.
fn empty_block() -> Tree {
    let header = Header {
        number: 1,
        timestamp: 1,
        base_fee_per_gas: Some(7),
        withdrawals_root: Some(Default::default()),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(Default::default()),
        requests_hash: Some(Default::default()),
        ..Header::default()
    };
    let body = BlockBody::<TxEnvelope> { withdrawals: Some(Withdrawals::default()), ..BlockBody::default() };
    let block = Block { header, body };
    let mut rlp = vec![];
    block.encode(&mut rlp);
    Tree::parse(&rlp)
}

fn explain_under(network: &str, block: &Tree) -> InvalidBlock {
    let spec = ChainSpec::from_network(network, 1, []).unwrap();
    let rlp = block.encode();
    let mut rest = rlp.as_slice();
    let is_block = Block::<TxEnvelope>::decode(&mut rest).is_ok_and(|block| {
        block.body.transactions.iter().all(|tx| tx.as_eip4844().is_none_or(|tx| tx.tx().sidecar().is_none()))
    });
    assert!(!is_block, "decodes after all: {block:?}");
    explain_undecodable_block(&spec, &rlp)
}

fn explain(spoil: impl FnOnce(&mut Vec<Tree>)) -> Exception {
    let mut block = empty_block();
    spoil(block.list());
    explain_under("Prague", &block).exception
}

#[test]
fn a_good_block_survives_the_round_trip() {
    let rlp = empty_block().encode();
    assert!(Block::<TxEnvelope>::decode(&mut rlp.as_slice()).is_ok());
    let spec = ChainSpec::from_network("Prague", 1, []).unwrap();
    assert_eq!(find_fault(&spec, &rlp), Ok(()));
}

#[test]
fn the_parts_of_a_block_are_lists() {
    for part in 0..3 {
        let class = explain(|block| block[part] = bytes(&[1]));
        assert_eq!(class, Exception::RlpStructuresEncoding, "part {part}");
    }
    assert_eq!(explain(|block| block.push(Tree::List(vec![]))), Exception::RlpStructuresEncoding);
    let spec = ChainSpec::from_network("Prague", 1, []).unwrap();
    for rlp in [&[][..], &[0x80], &[0xc1], &[0xff; 9], &[0xc0, 0]] {
        let verdict = explain_undecodable_block(&spec, rlp);
        assert_eq!(verdict.exception, Exception::RlpStructuresEncoding, "{rlp:?}");
    }
}

#[test]
fn header_fields_have_their_widths_and_their_number() {
    for (field, (name, width)) in HEADER_FIELDS.into_iter().enumerate().take(21) {
        match width {
            Width::Any => {}
            Width::Exactly(length) => {
                let class = explain(|b| b[0].list()[field] = bytes(&vec![1; length + 1]));
                assert_eq!(class, Exception::RlpStructuresEncoding, "{name}");
            }
            Width::Number(length) => {
                let class = explain(|b| b[0].list()[field] = bytes(&vec![1; length + 1]));
                let expected = if length == 8 {
                    Exception::RlpInvalidFieldOverflow64
                } else {
                    Exception::RlpStructuresEncoding
                };
                assert_eq!(class, expected, "{name}");
                let class = explain(|b| b[0].list()[field] = bytes(&[0, 1]));
                assert_eq!(class, Exception::RlpStructuresEncoding, "{name}");
            }
        }
        let class = explain(|b| b[0].list()[field] = Tree::List(vec![]));
        assert_eq!(class, Exception::RlpStructuresEncoding, "{name}");
    }
    // Without one of the two blob fields the rest moves up and no longer fits.
    for field in [17, 18] {
        let class = explain(|b| drop(b[0].list().remove(field)));
        assert_eq!(class, Exception::IncorrectBlockFormat);
    }
    let class = explain(|b| b[0].list().extend([word(), bytes(&[1]), bytes(&[1])]));
    assert_eq!(class, Exception::IncorrectBlockFormat);
    assert_eq!(explain(|b| b[0].list().truncate(5)), Exception::IncorrectBlockFormat);
}

fn withdrawal() -> Tree {
    Tree::List(vec![bytes(&[1]), bytes(&[2]), bytes(&[3; 20]), bytes(&[4])])
}

#[test]
fn withdrawals_are_there_and_fit() {
    assert_eq!(explain(|b| b[3] = bytes(&[1])), Exception::RlpWithdrawalsNotRead);
    let spoilt = |field: usize, tree: Tree| {
        explain(|b| {
            let mut one = withdrawal();
            one.list()[field] = tree;
            b[3].list().extend([withdrawal(), one]);
        })
    };
    for field in [0, 1, 3] {
        let class = spoilt(field, bytes(&[1; 9]));
        assert_eq!(class, Exception::RlpInvalidFieldOverflow64, "field {field}");
        assert_eq!(spoilt(field, bytes(&[0])), Exception::RlpStructuresEncoding);
    }
    assert_eq!(spoilt(2, bytes(&[1; 19])), Exception::RlpInvalidAddress);
    assert_eq!(spoilt(2, bytes(&[1; 21])), Exception::RlpInvalidAddress);
    let long = explain(|b| {
        let mut one = withdrawal();
        one.list().push(bytes(&[1]));
        b[3].list().push(one);
    });
    assert_eq!(long, Exception::RlpStructuresEncoding);
}

/// The fields of a good transaction of each type.
fn transaction(kind: u8) -> Vec<Tree> {
    let to = bytes(&[7; 20]);
    let (one, none) = (bytes(&[1]), bytes(&[]));
    let list = || Tree::List(vec![]);
    let authorization = Tree::List(vec![one.clone(), to.clone(), none.clone(), none.clone(), word(), word()]);
    let mut fields = match kind {
        0 => vec![none.clone(), one.clone(), one.clone(), to, none.clone(), none.clone(), bytes(&[27])],
        1 => vec![
            one.clone(),
            none.clone(),
            one.clone(),
            one.clone(),
            to,
            none.clone(),
            none.clone(),
            list(),
            none,
        ],
        _ => {
            let mut fields = vec![
                one.clone(),
                none.clone(),
                one.clone(),
                one.clone(),
                one.clone(),
                to,
                none.clone(),
                none.clone(),
                list(),
            ];
            match kind {
                3 => fields.extend([one, Tree::List(vec![word()])]),
                4 => fields.push(Tree::List(vec![authorization])),
                _ => {}
            }
            fields.push(none);
            fields
        }
    };
    fields.extend([word(), word()]);
    fields
}

fn enveloped(kind: u8, fields: Vec<Tree>) -> Tree {
    let list = Tree::List(fields);
    if kind == 0 { list } else { bytes(&[vec![kind], list.encode()].concat()) }
}

fn explain_transaction(kind: u8, spoil: impl FnOnce(&mut Vec<Tree>)) -> Exception {
    let mut fields = transaction(kind);
    spoil(&mut fields);
    let mut block = empty_block();
    let good = enveloped(2, transaction(2));
    block.list()[1].list().extend([good, enveloped(kind, fields)]);
    let verdict = explain_under("Prague", &block);
    assert_eq!(verdict.transaction, Some(1));
    verdict.exception
}

#[test]
fn good_transactions_of_each_type_decode() {
    let spec = ChainSpec::from_network("Prague", 1, []).unwrap();
    let mut block = empty_block();
    block.list()[1].list().extend((0..=4).map(|kind| enveloped(kind, transaction(kind))));
    let rlp = block.encode();
    assert_eq!(find_fault(&spec, &rlp), Ok(()));
    assert_eq!(Block::<TxEnvelope>::decode(&mut rlp.as_slice()).unwrap().body.transactions.len(), 5);
}

#[test]
fn each_field_of_a_transaction_has_its_class() {
    use Exception as E;
    let wide = |length: usize| bytes(&vec![1; length]);
    let zeros = || bytes(&[0, 1]);
    let list = || Tree::List(vec![]);
    for (kind, field, tree, expected) in [
        (0, 0, wide(9), E::NonceOverflow),
        (0, 0, zeros(), E::RlpLeadingZerosNonce),
        (0, 0, list(), E::RlpInvalidNonce),
        (0, 1, wide(33), E::GasPriceOverflow),
        (0, 1, zeros(), E::RlpLeadingZerosGasPrice),
        (0, 1, wide(17), E::PriceProductOverflow),
        (0, 1, wide(32), E::PriceProductOverflow),
        (0, 2, wide(9), E::GasLimitOverflow),
        (0, 2, zeros(), E::RlpLeadingZerosGasLimit),
        (0, 2, list(), E::RlpInvalidGasLimit),
        (0, 3, wide(19), E::AddressTooShort),
        (0, 3, wide(21), E::AddressTooLong),
        (0, 3, list(), E::RlpInvalidTo),
        (0, 4, wide(33), E::ValueOverflow),
        (0, 4, zeros(), E::RlpLeadingZerosValue),
        (0, 4, list(), E::RlpInvalidValue),
        (0, 5, list(), E::RlpInvalidData),
        (0, 6, bytes(&[34]), E::InvalidLegacyV),
        (0, 6, bytes(&[26]), E::InvalidLegacyV),
        (0, 6, zeros(), E::RlpLeadingZerosV),
        (0, 7, wide(33), E::RlpInvalidSignatureR),
        (0, 7, zeros(), E::RlpLeadingZerosR),
        (0, 8, wide(33), E::RlpInvalidSignatureS),
        (0, 8, zeros(), E::RlpLeadingZerosS),
        (1, 0, wide(9), E::InvalidChainId),
        (1, 7, bytes(&[1]), E::RlpStructuresEncoding),
        (1, 8, bytes(&[2]), E::InvalidSignature),
        (1, 8, bytes(&[27]), E::InvalidSignature),
        (2, 2, wide(33), E::PriorityOverflow),
        (2, 2, wide(17), E::PriorityFeeAboveMaxFee),
        (2, 2, zeros(), E::RlpLeadingZerosPriorityFee),
        (2, 3, zeros(), E::RlpLeadingZerosBaseFee),
        (2, 3, wide(17), E::PriceProductOverflow),
        (3, 5, bytes(&[]), E::BlobTxContractCreation),
        (3, 5, wide(19), E::AddressTooShort),
        (3, 9, wide(17), E::PriceProductOverflow),
        (3, 10, Tree::List(vec![wide(31)]), E::RlpStructuresEncoding),
        (4, 5, bytes(&[]), E::SetCodeTxContractCreation),
        (4, 9, bytes(&[1]), E::InvalidAuthorizationFormat),
    ] {
        let class = explain_transaction(kind, |fields| fields[field] = tree.clone());
        assert_eq!(class, expected, "type {kind}, field {field}: {tree:?}");
    }
}

#[test]
fn transactions_have_the_fields_of_their_type() {
    for kind in 0..=4 {
        let short = explain_transaction(kind, |fields| drop(fields.pop()));
        assert_eq!(short, Exception::RlpTooFewElements, "type {kind}");
        let long = explain_transaction(kind, |fields| fields.push(bytes(&[1])));
        assert_eq!(long, Exception::RlpTooManyElements, "type {kind}");
    }
    let item = |tree: Tree| {
        let mut block = empty_block();
        block.list()[1].list().push(tree);
        explain_under("Prague", &block).exception
    };
    assert_eq!(item(bytes(&[])), Exception::RlpInvalidHeader);
    assert_eq!(item(bytes(&[5, 0xc0])), Exception::TypeNotSupported);
    assert_eq!(item(bytes(&[2, 0x80])), Exception::RlpInvalidHeader);
    assert_eq!(item(bytes(&[2, 0xc5])), Exception::RlpErrorSize);
    assert_eq!(item(bytes(&[2, 0xc0, 0])), Exception::RlpErrorSize);
}

#[test]
fn access_lists_have_addresses_and_keys() {
    use Exception as E;
    let entry = |address: usize, key: usize| {
        Tree::List(vec![Tree::List(vec![bytes(&vec![1; address]), Tree::List(vec![bytes(&vec![1; key])])])])
    };
    for (address, key, expected) in [
        (19, 32, E::AccessListAddressTooShort),
        (21, 32, E::AccessListAddressTooLong),
        (20, 31, E::AccessListStorageTooShort),
        (20, 33, E::AccessListStorageTooLong),
    ] {
        let class = explain_transaction(1, |fields| fields[7] = entry(address, key));
        assert_eq!(class, expected);
    }
}

#[test]
fn authorizations_are_tuples_of_six() {
    use Exception as E;
    let of =
        |spoil: &dyn Fn(&mut Vec<Tree>)| explain_transaction(4, |fields| spoil(fields[9].list()[0].list()));
    assert_eq!(of(&|t| drop(t.pop())), E::InvalidAuthorizationFormat);
    assert_eq!(of(&|t| t.push(bytes(&[1]))), E::InvalidAuthorizationFormat);
    for (field, tree, expected) in [
        (0, bytes(&[1; 33]), E::InvalidAuthorizationFormat),
        (0, bytes(&[0]), E::InvalidAuthorizationFormat),
        (1, bytes(&[1; 19]), E::InvalidAuthorizationFormat),
        (1, bytes(&[1; 21]), E::InvalidAuthorizationFormat),
        (2, bytes(&[1; 9]), E::InvalidAuthorizationFormat),
        (2, Tree::List(vec![]), E::InvalidAuthorizationFormat),
        (3, bytes(&[1, 0]), E::InvalidAuthoritySignature),
        (4, bytes(&[1; 33]), E::InvalidAuthoritySignature),
        (5, bytes(&[1; 33]), E::InvalidAuthoritySignature),
    ] {
        assert_eq!(of(&|t| t[field] = tree.clone()), expected, "field {field}");
    }
}

#[test]
fn blobs_have_no_place_in_a_block() {
    let class = explain_transaction(3, |fields| {
        let inner = Tree::List(fields.clone());
        let blobs = || Tree::List(vec![bytes(&[0; 131_072])]);
        let proofs = || Tree::List(vec![bytes(&[1; 48])]);
        *fields = vec![inner, blobs(), proofs(), proofs()];
    });
    assert_eq!(class, Exception::BlobTxWithFullBlobs);
}

#[test]
fn a_type_before_its_fork_is_that_before_all_else() {
    let mut block = empty_block();
    // A Berlin header.
    block.list()[0].list().truncate(15);
    block.list().pop();
    let mut fields = transaction(2);
    fields.pop();
    block.list()[1].list().push(enveloped(2, fields));
    assert_eq!(explain_under("Berlin", &block).exception, Exception::DynamicFeeTxPreFork);
}

#[test]
fn a_price_that_needs_256_bits_is_beyond_any_account() {
    // From a state test of old: gas price times 21,000 just exceeds 2^256.
    let price = U256::MAX / U256::from(21_000) + U256::ONE;
    let class = explain_transaction(0, |fields| {
        fields[1] = bytes(&price.to_be_bytes_trimmed_vec());
        fields[2] = bytes(&[0x52, 0x08]);
    });
    assert_eq!(class, Exception::PriceProductOverflow);
}

/// Whatever byte of a block is spoilt: if alloy no longer takes it, the walk finds out why.
#[test]
fn every_refusal_of_the_decoder_is_explained() {
    let spec = ChainSpec::from_network("Prague", 1, []).unwrap();
    let mut block = empty_block();
    block.list()[1].list().extend((0..=4).map(|kind| enveloped(kind, transaction(kind))));
    block.list()[3].list().push(withdrawal());
    let rlp = block.encode();
    let mut refused = 0;
    for at in 0..rlp.len() {
        for value in [0, 1, 0x7f, 0x80, 0xc0, 0xff, rlp[at] ^ 1, rlp[at] ^ 0x80] {
            let mut spoilt = rlp.clone();
            spoilt[at] = value;
            let mut rest = spoilt.as_slice();
            if Block::<TxEnvelope>::decode(&mut rest).is_ok() && rest.is_empty() {
                continue;
            }
            refused += 1;
            let fault = find_fault(&spec, &spoilt);
            assert!(fault.is_err(), "byte {at} = {value:#x}");
        }
    }
    for length in 0..rlp.len() {
        assert!(find_fault(&spec, &rlp[..length]).is_err(), "cut at {length}");
    }
    assert!(refused > 500, "{refused}");
}
