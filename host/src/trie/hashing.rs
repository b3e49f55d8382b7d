//! Hashing of what changed in many pages: their entries at once, then their branches depth by depth, the
//! deepest first.

use super::{
    Key, Missing, NodeRef,
    nibbles::KEY_NIBBLES,
    node::{push_branch, push_extension, push_leaf},
    page::{Entry, Page},
    spine::{BranchJob, EntryJob, Jobs},
};
use outrider_kernels::keccak::{Digest, Payloads, keccak256};
use rayon::prelude::*;

/// Nodes that one task encodes and hashes: some 100 µs of work, and at most half a megabyte.
const TASK_LEN: usize = 1024;

/// Brings all references of some pages up to date. `encode` appends the bytes of a value.
///
/// # Errors
/// [`Missing`] if a blinded node that may not be a branch would come to hang elsewhere. What the pages remember
/// is then worthless.
pub(super) fn hash_pages<V: Entry>(
    pages: &mut [&mut Page<V>],
    jobs: &mut Jobs,
    encode: &(impl Fn(&V, &mut Vec<u8>) + Sync),
) -> Result<(), Missing> {
    jobs.clear();
    for (index, page) in (0..).zip(&mut *pages) {
        page.note_dirty(index, jobs);
    }
    hash_noted(pages, jobs, encode)
}

/// As [`hash_pages`], where it has been noted down what there is to do.
pub(super) fn hash_noted<V: Entry>(
    pages: &mut [&mut Page<V>],
    jobs: &Jobs,
    encode: &(impl Fn(&V, &mut Vec<u8>) + Sync),
) -> Result<(), Missing> {
    let parts = in_tasks(&jobs.entries, |jobs| entry_references(pages, jobs, encode))?;
    for (jobs, references) in jobs.entries.chunks(TASK_LEN).zip(parts) {
        references.hand_out(jobs, |job, reference| {
            pages[job.page as usize].set_reference(job.slot, reference);
        });
    }
    for branches in jobs.branches.iter().rev() {
        let parts = in_tasks(branches, |branches| Ok(branch_references(pages, branches)))?;
        for (jobs, references) in branches.chunks(TASK_LEN).zip(parts) {
            references.hand_out(jobs, |job, reference| {
                pages[job.page as usize].set_reference(job.slot, reference);
            });
        }
    }
    Ok(())
}

/// Hands each node of some jobs of one page that is up to date to `take`.
pub(super) fn encode_nodes<V: Entry>(
    page: &Page<V>,
    jobs: &Jobs,
    encode: &impl Fn(&V, &mut Vec<u8>),
    mut take: impl FnMut(&[u8]),
) {
    let (mut value, mut node) = (Vec::new(), Vec::new());
    for job in &jobs.entries {
        let (key, entry) = (page.key(job.entry), page.value(job.entry));
        node.clear();
        match entry.node() {
            None => {
                value.clear();
                encode(entry, &mut value);
                push_leaf(key, [job.hang.into(), entry.key_len()], &value, &mut node);
            }
            Some(known) if known.path_len == job.hang => continue,
            Some(known) => {
                push_extension(key, [job.hang.into(), known.path_len.into()], &known.node, &mut node);
            }
        }
        take(&node);
    }
    for job in jobs.branches.iter().flatten() {
        node.clear();
        push_branch(job.mask, page.children(job), &mut node);
        take(&node);
        if job.hang < job.depth {
            let branch = NodeRef::to(&node);
            node.clear();
            push_extension(page.key(job.entry), [job.hang.into(), job.depth.into()], &branch, &mut node);
            take(&node);
        }
    }
}

/// An answer for each [`TASK_LEN`] of the jobs, of which each thread does some.
fn in_tasks<J: Sync>(
    jobs: &[J],
    task: impl Fn(&[J]) -> Result<References, Missing> + Sync,
) -> Result<Vec<References>, Missing> {
    if jobs.len() <= TASK_LEN {
        return jobs.chunks(TASK_LEN).map(&task).collect();
    }
    jobs.par_chunks(TASK_LEN).map(&task).collect()
}

fn entry_references<V: Entry>(
    pages: &[&mut Page<V>],
    jobs: &[EntryJob],
    encode: &impl Fn(&V, &mut Vec<u8>),
) -> Result<References, Missing> {
    let mut encodings = Encodings::with_capacity(jobs.len(), 112);
    let mut value = Vec::new();
    for job in jobs {
        let page = &pages[job.page as usize];
        let (key, entry) = (page.key(job.entry), page.value(job.entry));
        let hang = usize::from(job.hang);
        match entry.node() {
            None => {
                value.clear();
                encode(entry, &mut value);
                encodings.add(|out| push_leaf(key, [hang, entry.key_len()], &value, out));
            }
            Some(blinded) if blinded.path_len == job.hang => encodings.known(blinded.node),
            Some(blinded) if blinded.is_branch => {
                let span = [hang, usize::from(blinded.path_len)];
                encodings.add(|out| push_extension(key, span, &blinded.node, out));
            }
            Some(blinded) => return Err(blinded.missing(key)),
        }
    }
    Ok(encodings.references())
}

fn branch_references<V: Entry>(pages: &[&mut Page<V>], jobs: &[BranchJob]) -> References {
    let mut encodings = Encodings::with_capacity(jobs.len(), 320);
    for job in jobs {
        let children = pages[job.page as usize].children(job);
        encodings.add(|out| push_branch(job.mask, children, out));
    }
    let references = encodings.references();
    let hanging = |job: &BranchJob| job.hang < job.depth;
    if !jobs.iter().any(hanging) {
        return references;
    }
    let mut extensions = Encodings::with_capacity(jobs.len(), 48);
    references.hand_out(jobs, |job, reference| {
        if hanging(job) {
            let key: &Key = pages[job.page as usize].key(job.entry);
            extensions.add(|out| push_extension(key, [job.hang.into(), job.depth.into()], &reference, out));
        } else {
            extensions.known(reference);
        }
    });
    extensions.references()
}

/// How some nodes are referred to.
struct References {
    digests: Vec<Digest>,
    /// The nodes that have no digest, by their place among all.
    others: Vec<(usize, NodeRef)>,
}

impl References {
    /// Each job with its answer.
    fn hand_out<J>(self, jobs: &[J], mut take: impl FnMut(&J, NodeRef)) {
        let mut digests = self.digests.iter();
        let mut others = self.others.iter().peekable();
        for (index, job) in jobs.iter().enumerate() {
            let reference = match others.next_if(|(at, _)| *at == index) {
                Some((_, reference)) => *reference,
                None => digests.next().map_or(NodeRef::NONE, NodeRef::hash),
            };
            take(job, reference);
        }
    }
}

/// Encoded nodes one after the other.
struct Encodings {
    bytes: Vec<u8>,
    offsets: Vec<u32>,
    /// Nodes that are not to be hashed.
    others: Vec<(usize, NodeRef)>,
}

impl Encodings {
    fn with_capacity(nodes: usize, bytes_each: usize) -> Self {
        let mut offsets = Vec::with_capacity(nodes + 1);
        offsets.push(0);
        Self { bytes: Vec::with_capacity(nodes * bytes_each), offsets, others: Vec::new() }
    }

    fn known(&mut self, reference: NodeRef) {
        let index = self.offsets.len() - 1 + self.others.len();
        self.others.push((index, reference));
    }

    fn add(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        encode(&mut self.bytes);
        if self.bytes.len() - start < 32 {
            self.known(NodeRef::embedded(&self.bytes[start..]));
            self.bytes.truncate(start);
            return;
        }
        self.offsets.push(u32::try_from(self.bytes.len()).expect("a task's nodes have less than 4 GiB"));
    }

    fn references(self) -> References {
        let payloads = Payloads::new(&self.bytes, &self.offsets).expect("offsets ascend to the last byte");
        References { digests: keccak256(&payloads), others: self.others }
    }
}

const _: () = assert!(KEY_NIBBLES < 256, "depths are bytes");
