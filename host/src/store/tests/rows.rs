//! Chunks of rows against a plain map.

use super::history::Random;
use crate::store::{
    chunks::{Edits, Rows, Totals},
    file::{STORAGE, builder},
    record::{self, SlotKey},
};
use alloy_primitives::{Address, U256};
use redb::{ReadableTable as _, backends::InMemoryBackend};
use std::collections::BTreeMap;

/// All rows of the table, in order, and the length of the longest chunk.
fn contents(table: &impl redb::ReadableTable<&'static [u8], &'static [u8]>) -> (Vec<Vec<u8>>, usize) {
    let (mut rows, mut longest) = (Vec::new(), 0);
    let mut last: Option<SlotKey> = None;
    for chunk in table.range::<&[u8]>(..).unwrap() {
        let (first, chunk) = chunk.unwrap();
        longest = longest.max(chunk.value().len());
        for (place, row) in Rows::<52>(chunk.value()).enumerate() {
            let (key, row) = row.unwrap();
            assert!(place > 0 || first.value() == key, "a chunk is found by its first row");
            assert!(last.is_none_or(|last| last < *key), "rows are sorted");
            last = Some(*key);
            rows.push(row.to_vec());
        }
    }
    (rows, longest)
}

#[test]
fn edits_of_all_kinds_leave_what_a_map_would_hold() {
    for seed in 0..4 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let database = builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let (mut model, mut totals) = (BTreeMap::<SlotKey, Vec<u8>>::new(), Totals::default());
        for step in 0..40 {
            let mut edits = Edits::<52>::default();
            // Many rows at one end, then all over, then mostly removals.
            let people = if step < 10 { 2 } else { 50 };
            for order in 0..random.below(2_000) {
                let owner = u8::try_from(random.below(people)).unwrap();
                let key = record::slot_key(&Address::repeat_byte(owner), U256::from(random.below(300)));
                if random.below(10) < if step < 30 { 2 } else { 9 } {
                    edits.remove(key, order);
                    model.remove(&key);
                } else {
                    let mut row = Vec::new();
                    record::encode_slot(&key, U256::from(1 + (random.next() >> random.below(63))), &mut row);
                    edits.set(key, order, |out| out.extend_from_slice(&row));
                    model.insert(key, row);
                }
            }
            let transaction = database.begin_write().unwrap();
            {
                let mut table = transaction.open_table(STORAGE).unwrap();
                edits.apply(&mut table, &mut totals).unwrap();
                let (rows, longest) = contents(&table);
                assert!(rows.iter().eq(model.values()), "seed {seed}, step {step}");
                assert!(longest <= 32_100, "{longest}");
                let bytes: usize = rows.iter().map(Vec::len).sum();
                assert_eq!((totals.rows, totals.bytes), (rows.len() as u64, bytes as u64));
                let chunks = table.range::<&[u8]>(..).unwrap().count();
                assert!(chunks <= 1 + bytes / 7_900, "{chunks} chunks of {bytes} bytes");
            }
            transaction.commit().unwrap();
        }
    }
}
