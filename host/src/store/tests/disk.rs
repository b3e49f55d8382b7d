//! A disk that keeps account of what was synced, so that a loss of power can be played at any moment.

use super::history::Random;
use redb::StorageBackend;
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Smallest piece of a write that reaches the disk or does not.
const SECTOR_BYTES: usize = 512;

/// What happened to the disk.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Write(usize, Vec<u8>),
    SetLen(usize),
    Sync,
    /// Block of that number was acknowledged.
    Acknowledged(u64),
}

#[derive(Debug, Default)]
struct Contents {
    now: Vec<u8>,
    events: Vec<Event>,
    capacity: Option<usize>,
}

/// A disk in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<Contents>>);

impl Disk {
    pub(super) fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Contents { now: bytes, ..Contents::default() })))
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.contents().now.clone()
    }

    pub(super) fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.contents().events)
    }

    pub(super) fn acknowledge(&self, number: u64) {
        self.contents().events.push(Event::Acknowledged(number));
    }

    /// Sets how many bytes there is room for.
    pub(super) fn set_capacity(&self, capacity: Option<usize>) {
        self.contents().capacity = capacity;
    }
}

impl Contents {
    fn make_room(&self, len: usize) -> io::Result<()> {
        match self.capacity {
            Some(capacity) if len > capacity.max(self.now.len()) => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.contents().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let offset = usize::try_from(offset).unwrap();
        let contents = self.contents();
        let bytes = contents.now.get(offset..offset + out.len());
        out.copy_from_slice(bytes.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let len = usize::try_from(len).unwrap();
        let mut contents = self.contents();
        contents.make_room(len)?;
        contents.now.resize(len, 0);
        contents.events.push(Event::SetLen(len));
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.contents().events.push(Event::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let offset = usize::try_from(offset).unwrap();
        let mut contents = self.contents();
        contents.make_room(offset + data.len())?;
        write(&mut contents.now, offset, data);
        contents.events.push(Event::Write(offset, data.to_vec()));
        Ok(())
    }
}

fn write(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

fn happen(bytes: &mut Vec<u8>, event: &Event) {
    match event {
        Event::Write(offset, data) => write(bytes, *offset, data),
        Event::SetLen(len) => bytes.resize(*len, 0),
        Event::Sync | Event::Acknowledged(_) => {}
    }
}

/// What a loss of power does to what was not synced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loss {
    /// All of it is gone.
    All,
    /// All of it had reached the disk.
    Nothing,
    /// Some of it had, in any order, writes torn between sectors.
    Some,
}

/// What a disk holds that has lost power after `events`, and the last block acknowledged before.
pub(super) fn after_loss(
    start: &[u8],
    events: &[Event],
    loss: Loss,
    random: &mut Random,
) -> (Vec<u8>, Option<u64>) {
    let mut bytes = start.to_vec();
    let synced = events.iter().rposition(|event| matches!(event, Event::Sync)).map_or(0, |last| last + 1);
    events[..synced].iter().for_each(|event| happen(&mut bytes, event));
    let mut unsynced: Vec<&Event> = events[synced..].iter().collect();
    match loss {
        Loss::All => unsynced.clear(),
        Loss::Nothing => {}
        Loss::Some => {
            for last in (1..unsynced.len()).rev() {
                unsynced.swap(last, random.index(last + 1));
            }
        }
    }
    for event in unsynced {
        match event {
            Event::Write(offset, data) if matches!(loss, Loss::Some) => {
                for (place, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                    if random.below(2) == 0 {
                        write(&mut bytes, offset + place * SECTOR_BYTES, sector);
                    }
                }
            }
            // A file that is cut has no more use for its end.
            Event::SetLen(_) if matches!(loss, Loss::Some) && random.below(2) == 0 => {}
            event => happen(&mut bytes, event),
        }
    }
    let acknowledged = events.iter().rev().find_map(|event| match event {
        Event::Acknowledged(number) => Some(*number),
        _ => None,
    });
    (bytes, acknowledged)
}
