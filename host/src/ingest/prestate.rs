//! Accounts from JSON objects that map addresses to accounts: pre-states, post-states, and the
//! `alloc` of genesis files.

use std::{borrow::Cow, collections::BTreeMap, fmt, path::Path};

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};

use super::{
    case::{Completeness, Prestate, PrestateAccount},
    error::{FieldFault, IngestError, IngestFault},
    files,
    json::{self, Scalar, parse_fixed, parse_number, parse_word},
};

/// Most block hashes that a block folder may bring: `BLOCKHASH` reaches 256 blocks back.
const BLOCK_HASHES_MAX: usize = 1 << 16;

/// Parses a block folder's pre-state.
///
/// # Errors
/// What is wrong, with the account and field, in one line.
pub(super) fn parse_touched_prestate(json: &[u8]) -> Result<Prestate, String> {
    let Accounts(accounts) = json::from_slice(json)?;
    Ok(Prestate { accounts, completeness: Completeness::TouchedOnly, block_hashes: BTreeMap::new() })
}

/// Parses a block folder's hashes of earlier blocks, an object from number to hash.
///
/// # Errors
/// What is wrong, with the number, in one line.
pub(super) fn parse_block_hashes(json: &[u8]) -> Result<BTreeMap<u64, B256>, String> {
    json::from_slice::<BlockHashes>(json).map(|hashes| hashes.0)
}

/// Reads an object from address to account, as the `alloc` of genesis files is one, account by account: the file is never in
/// memory as a whole. `take` may refuse an account in words.
///
/// # Errors
/// A file that cannot be read; what is wrong in it, with the account and field.
pub fn read_accounts(
    path: &Path,
    take: &mut dyn FnMut(Address, PrestateAccount) -> Result<(), String>,
) -> Result<(), IngestError> {
    let file = files::open(path).map_err(|error| IngestError::new(path, "", error))?;
    let mut json = serde_json::Deserializer::from_reader(file);
    let read = json.deserialize_map(Each(take)).and_then(|()| json.end());
    read.map_err(|error| IngestError::new(path, "", IngestFault::Json(json::words(&error))))
}

/// Hands accounts on as they are read.
struct Each<'t>(&'t mut dyn FnMut(Address, PrestateAccount) -> Result<(), String>);

impl<'de> Visitor<'de> for Each<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        AccountsVisitor.expecting(out)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((address, account)) = next_account(&mut map)? {
            (self.0)(address, account)
                .map_err(|reason| A::Error::custom(format_args!("account {address}: {reason}")))?;
        }
        Ok(())
    }
}

/// The next account of an object.
fn next_account<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<(Address, PrestateAccount)>, A::Error> {
    let Some(Key(key)) = map.next_key::<Key<'de>>()? else { return Ok(None) };
    let address = parse_fixed(&key)
        .map(Address)
        .map_err(|reason| A::Error::custom(FieldFault::new(format!("account {key}"), reason)))?;
    let raw: RawAccount<'de> =
        map.next_value().map_err(|error| A::Error::custom(format_args!("account {address}: {error}")))?;
    let account =
        raw.convert().map_err(|fault| A::Error::custom(fault.within(format_args!("account {address}"))))?;
    Ok(Some((address, account)))
}

/// Accounts by ascending address, none twice.
#[derive(Debug, Default)]
pub(super) struct Accounts(pub(super) Vec<(Address, PrestateAccount)>);

impl<'de> Deserialize<'de> for Accounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AccountsVisitor).map(Self)
    }
}

struct AccountsVisitor;

impl<'de> Visitor<'de> for AccountsVisitor {
    type Value = Vec<(Address, PrestateAccount)>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object from address to account")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut accounts = Vec::new();
        while let Some(account) = next_account(&mut map)? {
            accounts.push(account);
        }
        accounts.sort_unstable_by_key(|(address, _)| *address);
        match accounts.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(A::Error::custom(format_args!("account {} twice", pair[0].0))),
            None => Ok(accounts),
        }
    }
}

/// A key of an object, borrowed from the text where it has no escapes.
pub(super) struct Key<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Scalar::deserialize(deserializer)? {
            Scalar::Text(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("a key that is no text")),
        }
    }
}

#[derive(Deserialize)]
#[serde(expecting = "an account object")]
struct RawAccount<'a> {
    #[serde(borrow, default)]
    nonce: Scalar<'a>,
    #[serde(borrow, default)]
    balance: Scalar<'a>,
    #[serde(borrow, default)]
    code: Scalar<'a>,
    #[serde(default)]
    storage: Option<Storage>,
}

impl RawAccount<'_> {
    fn convert(self) -> Result<PrestateAccount, FieldFault> {
        Ok(PrestateAccount {
            nonce: self.nonce.optional("nonce", Scalar::number)?.unwrap_or(0),
            balance: self.balance.number("balance")?,
            code: self.code.optional("code", Scalar::bytes)?.unwrap_or(Bytes::new()),
            storage: self.storage.unwrap_or_default().0,
        })
    }
}

/// Slots by ascending key, none twice, none zero.
#[derive(Default)]
struct Storage(Vec<(U256, U256)>);

impl<'de> Deserialize<'de> for Storage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(StorageVisitor).map(Self)
    }
}

struct StorageVisitor;

impl<'de> Visitor<'de> for StorageVisitor {
    type Value = Vec<(U256, U256)>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object from slot to value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut slots = Vec::new();
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            let fault = |reason: &str| A::Error::custom(FieldFault::new(format!("slot {key}"), reason));
            let slot = parse_word(&key).map_err(fault)?;
            let value: Scalar<'de> = map.next_value()?;
            let value = match &value {
                Scalar::Text(text) => parse_word(text).map_err(fault)?,
                _ => return Err(fault("not text")),
            };
            slots.push((slot, value));
        }
        slots.sort_unstable_by_key(|(slot, _)| *slot);
        if let Some(pair) = slots.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(A::Error::custom(format_args!("slot {:#x} twice", pair[0].0)));
        }
        slots.retain(|(_, value)| !value.is_zero());
        Ok(slots)
    }
}

struct BlockHashes(BTreeMap<u64, B256>);

impl<'de> Deserialize<'de> for BlockHashes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(BlockHashesVisitor).map(Self)
    }
}

struct BlockHashesVisitor;

impl<'de> Visitor<'de> for BlockHashesVisitor {
    type Value = BTreeMap<u64, B256>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object from block number to block hash")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut hashes = BTreeMap::new();
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            let fault = |reason: &str| A::Error::custom(FieldFault::new(format!("block {key}"), reason));
            let number = parse_number(&key).map_err(fault)?;
            let number = u64::try_from(number).map_err(|_| fault("more than 64 bits"))?;
            let hash = map.next_value::<Scalar<'de>>()?.hash("hash").map_err(|error| fault(&error.reason))?;
            if hashes.insert(number, hash).is_some() {
                return Err(fault("twice"));
            }
            if hashes.len() > BLOCK_HASHES_MAX {
                return Err(A::Error::custom(format_args!("more than {BLOCK_HASHES_MAX} block hashes")));
            }
        }
        Ok(hashes)
    }
}
