//! A small chain with every type of transaction, in every format. Signatures are arbitrary: this
//! room does not look into them. The JSON forms come from alloy's serializers.

use alloy_consensus::{
    Block, BlockBody, EMPTY_OMMER_ROOT_HASH, Header, Signed, TxEip1559, TxEip2930, TxEip4844, TxEip7702,
    TxLegacy,
};
use alloy_eips::{
    Encodable2718,
    eip2930::{AccessList, AccessListItem},
    eip4844::kzg_to_versioned_hash,
    eip4895::{Withdrawal, Withdrawals},
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex};
use alloy_rlp::Encodable;
use serde_json::{Value, json};

use crate::ingest::Transaction;

fn signature(seed: u8, odd_y: bool) -> Signature {
    Signature::new(U256::from_be_bytes([seed; 32]), U256::from(seed), odd_y)
}

fn access_list() -> AccessList {
    AccessList(vec![
        AccessListItem {
            address: Address::repeat_byte(7),
            storage_keys: vec![B256::ZERO, B256::repeat_byte(8)],
        },
        AccessListItem { address: Address::repeat_byte(9), storage_keys: Vec::new() },
    ])
}

/// Types 0 (before and after EIP-155, also creating) to 4.
pub(super) fn transactions() -> Vec<Transaction> {
    let legacy = TxLegacy {
        chain_id: None,
        nonce: 0,
        gas_price: 50_000_000_000,
        gas_limit: 21_000,
        to: TxKind::Call(Address::repeat_byte(1)),
        value: U256::from(1),
        input: Bytes::new(),
    };
    let replay_protected = TxLegacy { chain_id: Some(1), nonce: 128, to: TxKind::Create, ..legacy.clone() };
    let with_access_list = TxEip2930 {
        chain_id: 1,
        nonce: 300,
        gas_price: 1,
        gas_limit: 90_000,
        to: TxKind::Create,
        value: U256::ZERO,
        access_list: access_list(),
        input: Bytes::from(vec![0x60; 60]),
    };
    let dynamic = TxEip1559 {
        chain_id: 1,
        max_fee_per_gas: u128::MAX,
        max_priority_fee_per_gas: 2,
        to: TxKind::Call(Address::repeat_byte(2)),
        value: U256::MAX,
        ..TxEip1559::default()
    };
    vec![
        Signed::new_unhashed(legacy, signature(1, false)).into(),
        Signed::new_unhashed(replay_protected, signature(2, true)).into(),
        Signed::new_unhashed(with_access_list, signature(3, true)).into(),
        Signed::new_unhashed(dynamic, signature(4, false)).into(),
        Transaction::Eip4844(Signed::new_unhashed(blob_transaction(2), signature(5, true))),
        Signed::new_unhashed(set_code_transaction(), signature(6, false)).into(),
    ]
}

fn commitment(index: u8) -> [u8; 48] {
    [index.wrapping_add(0xa0); 48]
}

fn blob_transaction(blobs: u8) -> TxEip4844 {
    TxEip4844 {
        chain_id: 1,
        nonce: 4,
        gas_limit: 21_000,
        max_fee_per_gas: 10,
        max_priority_fee_per_gas: 1,
        to: Address::repeat_byte(3),
        value: U256::from(5),
        access_list: access_list(),
        blob_versioned_hashes: (0..blobs).map(|index| kzg_to_versioned_hash(&commitment(index))).collect(),
        max_fee_per_blob_gas: 7,
        input: Bytes::from_static(b"\x01"),
    }
}

fn set_code_transaction() -> TxEip7702 {
    let authorization = |chain_id: u64| Authorization {
        chain_id: U256::from(chain_id),
        address: Address::repeat_byte(5),
        nonce: 6,
    };
    TxEip7702 {
        chain_id: 1,
        to: Address::repeat_byte(4),
        authorization_list: vec![
            SignedAuthorization::new_unchecked(authorization(0), 1, U256::from(1), U256::from(2)),
            SignedAuthorization::new_unchecked(authorization(1), 77, U256::MAX, U256::MAX),
        ],
        ..TxEip7702::default()
    }
}

/// Type 3 with a sidecar: `version` 0 with a proof a blob, 1 with a proof a cell. Blobs, commitments
/// and proofs are of the right size and number unless the caller asks for others.
pub(super) struct Pooled {
    pub(super) version: u8,
    pub(super) blobs: usize,
    pub(super) commitments: u8,
    pub(super) proofs: usize,
    pub(super) blob_len: usize,
}

impl Pooled {
    pub(super) const fn fitting(version: u8) -> Self {
        let proofs = if version == 0 { 2 } else { 256 };
        Self { version, blobs: 2, commitments: 2, proofs, blob_len: 131_072 }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let signed = Signed::new_unhashed(blob_transaction(2), signature(5, true));
        let mut payload = Vec::new();
        signed.rlp_encode(&mut payload);
        if self.version > 0 {
            self.version.encode(&mut payload);
        }
        vec![Bytes::from(vec![1; self.blob_len]); self.blobs].encode(&mut payload);
        let commitments: Vec<Bytes> =
            (0..self.commitments).map(|index| Bytes::copy_from_slice(&commitment(index))).collect();
        commitments.encode(&mut payload);
        vec![Bytes::from(vec![2; 48]); self.proofs].encode(&mut payload);
        let mut raw = vec![3];
        alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut raw);
        raw.extend(payload);
        raw
    }
}

/// A block with all of [`transactions`] and a header of the latest form.
pub(super) fn block(number: u64) -> Block<Transaction> {
    let withdrawals =
        vec![Withdrawal { index: 1, validator_index: 2, address: Address::repeat_byte(6), amount: 300 }];
    let header = Header {
        parent_hash: B256::repeat_byte(1),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        number,
        gas_limit: 30_000_000,
        timestamp: 1_700_000_000,
        extra_data: Bytes::from_static(b"outrider"),
        base_fee_per_gas: Some(7),
        withdrawals_root: Some(B256::repeat_byte(2)),
        blob_gas_used: Some(0x40000),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::repeat_byte(3)),
        requests_hash: Some(B256::repeat_byte(4)),
        ..Header::default()
    };
    let body = BlockBody {
        transactions: transactions(),
        ommers: Vec::new(),
        withdrawals: Some(Withdrawals::new(withdrawals)),
    };
    Block::new(header, body)
}

pub(super) fn block_rlp(number: u64) -> Vec<u8> {
    alloy_rlp::encode(block(number))
}

/// The block as a node answers, with `from` and hashes.
pub(super) fn block_json(number: u64) -> Value {
    let block = block(number);
    let mut json = serde_json::to_value(&block.header).unwrap();
    json["hash"] = json!(block.header.hash_slow());
    json["totalDifficulty"] = json!("0x1");
    json["uncles"] = json!([]);
    json["withdrawals"] = serde_json::to_value(&block.body.withdrawals).unwrap();
    json["transactions"] = block.body.transactions.iter().map(transaction_json).collect();
    json
}

fn transaction_json(transaction: &Transaction) -> Value {
    let mut json = serde_json::to_value(transaction).unwrap();
    json["from"] = json!(Address::repeat_byte(0xf0));
    json["blockNumber"] = json!("0x1");
    assert_eq!(json["hash"], json!(transaction.tx_hash()));
    json
}

pub(super) fn genesis_json() -> Value {
    json!({
        "config": {
            "chainId": 1337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "istanbulBlock": 0, "berlinBlock": 0,
            "londonBlock": 0, "terminalTotalDifficulty": 0, "shanghaiTime": 0, "cancunTime": 0,
            "blobSchedule": { "cancun": { "target": 3, "max": 6, "baseFeeUpdateFraction": 3338477 } },
        },
        "difficulty": "0x0", "gasLimit": "0x1c9c380", "timestamp": "1700000000", "extraData": "0x",
        "alloc": prestate_json(),
    })
}

/// Accounts in all the spellings that genesis files have.
pub(super) fn prestate_json() -> Value {
    json!({
        "0x00000000000000000000000000000000000000ff": { "balance": "0xde0b6b3a7640000" },
        "000000000000000000000000000000000000000a": {
            "balance": "1000", "nonce": 3, "code": "0x6000",
            "storage": { "0x02": "0x01", "01": "0x0000000000000000000000000000000000000000000000000000000000000fff",
                "0x03": "0x00" },
        },
    })
}

/// A test with two blocks, of which the second is invalid.
pub(super) fn test_json() -> Value {
    let genesis = Block::<Transaction>::new(
        block(0).header,
        BlockBody { withdrawals: Some(Withdrawals::default()), ..BlockBody::default() },
    );
    let valid = block(1);
    let senders: Vec<Value> =
        valid.body.transactions.iter().map(|_| json!({ "sender": Address::repeat_byte(0xf0) })).collect();
    json!({
        "sample": {
            "_info": { "comment": ["not", { "looked": "at" }] },
            "network": "Prague",
            "config": { "network": "Prague", "chainid": "0x01", "blobSchedule": {
                "Cancun": { "target": "0x03", "max": "0x06", "baseFeeUpdateFraction": "0x32f0ed" } } },
            "genesisBlockHeader": { "hash": genesis.header.hash_slow() },
            "genesisRLP": hex::encode_prefixed(alloy_rlp::encode(&genesis)),
            "pre": { "0x00000000000000000000000000000000000000ff":
                { "nonce": "0x00", "balance": "0x01", "code": "0x", "storage": {} } },
            "postStateHash": B256::repeat_byte(5),
            "lastblockhash": valid.header.hash_slow(),
            "sealEngine": "NoProof",
            "hasBigInt": true,
            "blocks": [
                { "rlp": hex::encode_prefixed(alloy_rlp::encode(&valid)), "chainname": "default", "blocknumber": "1",
                  "blockHeader": { "hash": valid.header.hash_slow() }, "transactions": senders, "uncleHeaders": [] },
                { "rlp": "0xc3c0c0", "expectException": "BlockException.A|TransactionException.B",
                  "rlp_decoded": { "blockHeader": { "gasLimit": "0x:bigint 0x1ffffffffffffffffff" } } },
            ],
        },
    })
}

pub(super) fn raw_transactions() -> Vec<Vec<u8>> {
    transactions().iter().map(Encodable2718::encoded_2718).collect()
}
