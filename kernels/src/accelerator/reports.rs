//! What is kept of a device's wrong answer, so that it can be reported and played again.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use super::calibration::Identity;
use super::private_file;

/// Where files about wrong answers are kept, and how much of them.
///
/// **They hold transactions as they came in, private order flow perhaps among them.** So nothing is kept unless a folder
/// is named; files have mode 0600 (and the folder 0700, if it is made here), and they are bounded in number and size.
/// Look at one before you give it away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reports {
    /// Folder, made when there is something to keep.
    pub folder: PathBuf,
    /// Most files. When there is one more, the oldest goes.
    pub files_max: usize,
    /// Most bytes of a file.
    pub bytes_max: usize,
}

/// A wrong answer: one file.
#[derive(Debug, Serialize)]
struct Report<'a> {
    /// Seconds since 1970 (UTC).
    time: u64,
    kernel: &'a str,
    /// What went wrong, in words.
    error: &'a str,
    /// Items of the batch, or of the device's part of it.
    batch_len: usize,
    /// Index of the wrong item.
    item: usize,
    identity: &'a Identity,
    /// The item and its neighbours, as many as the bound allows, in order of their indices.
    items: Vec<Value>,
}

/// The place of a wrong answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) kernel: &'a str,
    pub(super) error: &'a str,
    pub(super) batch_len: usize,
    pub(super) item: usize,
}

impl Reports {
    /// Up to 8 files of up to 1 MiB.
    #[must_use]
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), files_max: 8, bytes_max: 1 << 20 }
    }

    /// Keeps a wrong answer; `row` shows an item with its answers. The item itself is left out if it alone is too long.
    pub(super) fn keep(
        &self,
        identity: &Identity,
        place: Place<'_>,
        row: impl Fn(usize) -> Value,
    ) -> io::Result<PathBuf> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let Place { kernel, error, batch_len, item } = place;
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut report =
            Report { time: time.as_secs(), kernel, error, batch_len, item, identity, items: Vec::new() };
        let mut left = self.bytes_max.saturating_sub(serde_json::to_vec(&report)?.len());
        // The item, then neighbours on both sides by turns.
        let around = (1..batch_len).flat_map(|far| [item.checked_sub(far), item.checked_add(far)]).flatten();
        let mut rows = Vec::new();
        for index in std::iter::once(item).chain(around).filter(|&index| index < batch_len) {
            let row = row(index);
            let bytes = serde_json::to_vec(&row)?.len() + 1;
            if bytes > left {
                break;
            }
            left -= bytes;
            rows.push((index, row));
        }
        rows.sort_by_key(|(index, _)| *index);
        report.items = rows.into_iter().map(|(_, row)| row).collect();
        self.make_room()?;
        // Names in the order of time: milliseconds have 13 digits until the year 2286.
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{:013}-{}-{count:06}{SUFFIX}", time.as_millis(), std::process::id());
        private_file::write(&self.folder, &name, &serde_json::to_vec(&report)?)
    }

    /// Removes the oldest files until there is room for one more.
    fn make_room(&self) -> io::Result<()> {
        let entries = match self.folder.read_dir() {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| is_report(path));
        files.sort();
        let surplus = (files.len() + 1).saturating_sub(self.files_max.max(1));
        files.iter().take(surplus).try_for_each(std::fs::remove_file)
    }
}

const PREFIX: &str = "mismatch-";
const SUFFIX: &str = ".json";

fn is_report(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::from("0x"), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::super::private_file::tests::Folder;
    use super::*;

    fn place(item: usize, batch_len: usize) -> Place<'static> {
        Place { kernel: "keccak", error: "wrong", batch_len, item }
    }

    fn rows(path: &Path) -> Vec<u64> {
        let report: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert_eq!(report["kernel"], "keccak");
        report["items"].as_array().unwrap().iter().map(|row| row["index"].as_u64().unwrap()).collect()
    }

    #[test]
    fn a_report_holds_the_item_and_as_many_neighbours_as_fit() {
        let folder = Folder::new("reports-fit");
        let mut reports = Reports::in_folder(&folder.0);
        let row = |index: usize| json!({ "index": index, "input": "x".repeat(100) });
        let identity = Identity::of(None, false);
        let path = reports.keep(&identity, place(1, 4), row).unwrap();
        assert_eq!(rows(&path), [0, 1, 2, 3]);
        reports.bytes_max = fs::metadata(&path).unwrap().len().try_into().unwrap();
        let path = reports.keep(&identity, place(500, 1000), row).unwrap();
        let around = rows(&path);
        assert!(around.len() >= 3 && around.contains(&500) && around.is_sorted(), "{around:?}");
        assert!(fs::metadata(&path).unwrap().len() <= reports.bytes_max as u64);
        let path = reports.keep(&identity, place(999, 1000), row).unwrap();
        assert_eq!(rows(&path).last(), Some(&999));
        // No room even for the one item.
        reports.bytes_max = 10;
        assert_eq!(rows(&reports.keep(&identity, place(3, 5), row).unwrap()), [0; 0]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&folder.0), mode(&path)), (0o700, 0o600));
        }
    }

    #[test]
    fn the_oldest_reports_go_and_nothing_else_does() {
        let folder = Folder::new("reports-oldest");
        let reports = Reports { files_max: 3, ..Reports::in_folder(&folder.0) };
        fs::create_dir_all(&folder.0).unwrap();
        fs::write(folder.0.join("mismatch-notes.txt"), "").unwrap();
        let identity = Identity::of(None, false);
        let keep = |item| {
            let path = reports.keep(&identity, place(item, 9), |index| json!({ "index": index })).unwrap();
            path.file_name().unwrap().to_str().unwrap().to_owned()
        };
        let names: Vec<_> = (0..5).map(keep).collect();
        let mut expected = names[2..].to_vec();
        expected.push("mismatch-notes.txt".to_owned());
        assert_eq!(folder.files(), expected);
    }
}
