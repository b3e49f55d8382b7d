//! The snapshot: all rows of accounts and slots, and how it advances.

use super::{
    LAYOUT_VERSION, Limits, Origin, StoreFault,
    chunks::{Edits, Rows, Totals},
    file::{
        ACCOUNTS, BASE, CHANGES, CODES, HEAD, HEADERS, IDENTITY, META, STORAGE, TOTALS, VERSION, part_key,
        read_changes, read_meta,
    },
    record::{self, AccountKey, BlockId, Item, Items, Meta, SlotKey},
    tail::{Tail, TailBlock},
};
use crate::state::{BLOCK_HASH_HISTORY, StateRead as _};
use alloy_primitives::{
    Address, B256, U256, keccak256,
    map::{AddressMap, B256Set},
};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, WriteTransaction};

/// Accounts that are written at once.
const BATCH_LEN: usize = 1 << 16;

/// Fills an empty file.
pub(super) fn begin(database: &Database, origin: &Origin<'_>) -> Result<(), StoreFault> {
    match read_meta(&database.begin_read()?) {
        Err(StoreFault::Missing) => {}
        Ok(_) => return Err(StoreFault::Exists),
        Err(fault) => return Err(fault),
    }
    let transaction = database.begin_write()?;
    let (mut accounts, mut slots) = (Totals::default(), Totals::default());
    {
        let mut account_table = transaction.open_table(ACCOUNTS)?;
        let mut slot_table = transaction.open_table(STORAGE)?;
        let mut code_table = transaction.open_table(CODES)?;
        let mut written = B256Set::default();
        let mut addresses: Vec<&Address> = origin.world.accounts().keys().collect();
        addresses.sort_unstable();
        for batch in addresses.chunks(BATCH_LEN) {
            let mut account_edits = Edits::<20>::default();
            let mut slot_edits = Edits::<52>::default();
            for &address in batch {
                let account = &origin.world.accounts()[address];
                account_edits
                    .set(address.into_array(), 0, |out| record::encode_account(address, account, out));
                for (slot, value) in origin.world.slots(address).into_iter().flatten() {
                    let key = record::slot_key(address, *slot);
                    slot_edits.set(key, 0, |out| record::encode_slot(&key, *value, out));
                }
                if account.has_code() && written.insert(account.code_hash) {
                    let code = origin.world.code(&account.code_hash);
                    let code = code.map_err(|unknown| StoreFault::damaged("state", unknown))?;
                    code_table.insert(&account.code_hash.0, code.original_byte_slice())?;
                }
            }
            account_edits.apply(&mut account_table, &mut accounts)?;
            slot_edits.apply(&mut slot_table, &mut slots)?;
        }
        let mut headers = transaction.open_table(HEADERS)?;
        for kept in origin.ancestors.iter().chain([origin.block]) {
            let id = BlockId { number: kept.header.number, hash: kept.hash };
            headers.insert(&id.to_bytes(), &record::encode_header(kept, 0)[..])?;
        }
        transaction.open_table(CHANGES)?;
        let id = BlockId { number: origin.block.header.number, hash: origin.block.hash };
        let mut meta = transaction.open_table(META)?;
        meta.insert(VERSION, &alloy_rlp::encode(LAYOUT_VERSION)[..])?;
        meta.insert(IDENTITY, &record::encode_identity(&origin.identity, origin.limits)[..])?;
        meta.insert(BASE, &id.to_bytes()[..])?;
        meta.insert(HEAD, &id.to_bytes()[..])?;
        meta.insert(TOTALS, &record::encode_totals(accounts, slots)[..])?;
    }
    Ok(transaction.commit()?)
}

/// Advances the snapshot if that is due.
pub(super) fn advance(database: &Database, tail: &mut Tail, limits: Limits) -> Result<(), StoreFault> {
    let reader = database.begin_read()?;
    let meta = read_meta(&reader)?;
    let path = tail.due(limits, meta.accounts.bytes + meta.slots.bytes);
    let Some(base) = path.last().map(|block| block.id) else { return Ok(()) };
    let mut step = Step::default();
    for block in &path {
        let changes = read_changes(&reader, block)?;
        step.take(&changes)
            .map_err(|error| StoreFault::damaged(format_args!("changes of block {}", block.id), error))?;
    }
    drop(reader);
    let transaction = database.begin_write()?;
    let Meta { mut accounts, mut slots, .. } = meta;
    step.write(&transaction, &mut accounts, &mut slots)?;
    let mut advanced = tail.clone();
    let dropped = advanced.advance(base);
    {
        let mut meta = transaction.open_table(META)?;
        meta.insert(BASE, &base.to_bytes()[..])?;
        meta.insert(TOTALS, &record::encode_totals(accounts, slots)[..])?;
    }
    forget(&transaction, base, &path, &dropped)?;
    transaction.commit()?;
    *tail = advanced;
    Ok(())
}

/// Removes the changes of blocks that the snapshot holds or that no longer have a parent, and headers out of reach.
fn forget(
    transaction: &WriteTransaction,
    base: BlockId,
    path: &[TailBlock],
    dropped: &[TailBlock],
) -> Result<(), StoreFault> {
    let mut changes = transaction.open_table(CHANGES)?;
    let mut headers = transaction.open_table(HEADERS)?;
    for block in dropped {
        changes.retain_in::<&[u8; BlockId::BYTES + 2], _>(
            &part_key(block.id, 0)..=&part_key(block.id, u16::MAX),
            |_, _| false,
        )?;
        if !path.contains(block) {
            headers.remove(&block.id.to_bytes())?;
        }
    }
    let lowest = base.number.saturating_sub(BLOCK_HASH_HISTORY as u64);
    let lowest = BlockId { number: lowest, hash: B256::ZERO }.to_bytes();
    headers.retain_in::<&[u8; BlockId::BYTES], _>(..&lowest, |_, _| false)?;
    Ok(())
}

/// The changes of several blocks, by row.
#[derive(Default)]
struct Step {
    accounts: Edits<20>,
    slots: Edits<52>,
    codes: Vec<alloy_primitives::Bytes>,
    /// When the storage of an account was voided for the last time.
    wiped: AddressMap<u64>,
    /// Counts twice a block: what it voids, then what it sets.
    order: u64,
}

impl Step {
    /// Adds the changes of the next block.
    fn take(&mut self, record: &[u8]) -> Result<(), alloy_rlp::Error> {
        let (voids, sets) = (self.order, self.order + 1);
        self.order += 2;
        for item in Items::new(record)? {
            let (address, change) = match item? {
                Item::Account(address, change) => (address, change),
                Item::Code(code) => {
                    self.codes.push(code);
                    continue;
                }
            };
            if change.storage_wiped {
                self.wiped.insert(address, voids);
            }
            let key: AccountKey = address.into_array();
            match &change.account {
                Some(account) => {
                    self.accounts.set(key, sets, |out| record::encode_account(&address, account, out));
                }
                None => self.accounts.remove(key, sets),
            }
            for (slot, value) in change.storage {
                let key = record::slot_key(&address, slot);
                if value.is_zero() {
                    self.slots.remove(key, sets);
                } else {
                    self.slots.set(key, sets, |out| record::encode_slot(&key, value, out));
                }
            }
        }
        Ok(())
    }

    fn write(
        mut self,
        transaction: &WriteTransaction,
        accounts: &mut Totals,
        slots: &mut Totals,
    ) -> Result<(), StoreFault> {
        let mut slot_table = transaction.open_table(STORAGE)?;
        self.slots.void(|key, order| {
            let address = Address::from_slice(&key[..20]);
            self.wiped.get(&address).is_some_and(|voided| order < *voided)
        });
        for (address, order) in &self.wiped {
            let (first, last) = (record::slot_key(address, U256::ZERO), record::slot_key(address, U256::MAX));
            // The chunk before may hold the first of them.
            let before = slot_table.range::<&[u8]>(..=&first[..])?.next_back().transpose()?;
            let start = before.map_or_else(|| first.to_vec(), |(key, _)| key.value().to_vec());
            for chunk in slot_table.range::<&[u8]>(&start[..]..=&last[..])? {
                for row in Rows::<52>(chunk?.1.value()) {
                    let (key, _): (&SlotKey, _) = row?;
                    if (first..=last).contains(key) {
                        self.slots.remove(*key, *order);
                    }
                }
            }
        }
        self.slots.apply(&mut slot_table, slots)?;
        self.accounts.apply(&mut transaction.open_table(ACCOUNTS)?, accounts)?;
        let mut codes = transaction.open_table(CODES)?;
        for code in self.codes {
            codes.insert(&keccak256(&code).0, &code[..])?;
        }
        Ok(())
    }
}
