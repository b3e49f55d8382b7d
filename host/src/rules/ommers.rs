//! Ommers: which headers a proof-of-work block may name.

use alloy_consensus::Header;
use alloy_primitives::B256;

use super::{Exception, InvalidBlock, header::check_header};
use crate::spec::ChainSpec;

/// Most ommers that a block may have.
pub const MAXIMUM_OMMERS: usize = 2;
/// How many generations back the parent of an ommer may be.
pub const MAXIMUM_OMMER_DEPTH: usize = 7;

/// The blocks before the one that is checked, by hash.
pub trait Ancestry {
    /// Header and ommers of the block with this hash, if it is known.
    fn block(&self, hash: &B256) -> Option<(&Header, &[Header])>;
}

/// Checks the ommers of the block of `header`: two at most, each the child of an ancestor at most
/// seven generations back, no ancestor itself, named once, and valid after its own parent.
///
/// A chain that does not reach back far enough is taken to begin there.
///
/// # Errors
/// The first rule that is broken.
pub fn check_ommers(
    spec: &ChainSpec,
    header: &Header,
    ommers: &[Header],
    ancestry: &impl Ancestry,
) -> Result<(), InvalidBlock> {
    if ommers.is_empty() {
        return Ok(());
    }
    if ommers.len() > MAXIMUM_OMMERS {
        return Err(InvalidBlock::block(Exception::TooManyUncles, ommers.len().to_string()));
    }
    let mut ancestors: Vec<(B256, &Header)> = Vec::with_capacity(MAXIMUM_OMMER_DEPTH);
    let mut named: Vec<B256> = Vec::new();
    let mut next = header.parent_hash;
    while ancestors.len() < MAXIMUM_OMMER_DEPTH {
        let Some((ancestor, its_ommers)) = ancestry.block(&next) else { break };
        ancestors.push((next, ancestor));
        named.extend(its_ommers.iter().map(Header::hash_slow));
        next = ancestor.parent_hash;
    }

    let mut seen: Vec<B256> = Vec::with_capacity(MAXIMUM_OMMERS);
    for ommer in ommers {
        let hash = ommer.hash_slow();
        let refuse = |exception| Err(InvalidBlock::block(exception, format!("ommer {hash}")));
        if seen.contains(&hash) {
            return refuse(Exception::UncleIsBrother);
        }
        if ancestors.iter().any(|(ancestor, _)| *ancestor == hash) {
            return refuse(Exception::UncleIsAncestor);
        }
        if named.contains(&hash) {
            return refuse(Exception::UncleInChain);
        }
        if ommer.parent_hash == header.parent_hash {
            return refuse(Exception::UncleIsSibling);
        }
        let Some((parent_hash, parent)) =
            ancestors.iter().find(|(ancestor, _)| *ancestor == ommer.parent_hash)
        else {
            let is_known = ancestry.block(&ommer.parent_hash).is_some();
            return refuse(if is_known {
                Exception::UncleParentIncorrect
            } else {
                Exception::UncleUnknownParent
            });
        };
        check_header(spec, ommer, *parent_hash, parent)
            .map_err(|e| InvalidBlock { detail: format!("ommer {hash}: {}", e.detail), ..e })?;
        seen.push(hash);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::difficulty::next_difficulty;
    use crate::spec::Fork;
    use alloy_primitives::{Address, map::HashMap};

    #[derive(Default)]
    struct Chain(HashMap<B256, (Header, Vec<Header>)>);

    impl Ancestry for Chain {
        fn block(&self, hash: &B256) -> Option<(&Header, &[Header])> {
            self.0.get(hash).map(|(header, ommers)| (header, ommers.as_slice()))
        }
    }

    fn child(parent: &Header, miner: u8) -> Header {
        let timestamp = parent.timestamp + 13;
        Header {
            parent_hash: parent.hash_slow(),
            number: parent.number + 1,
            timestamp,
            gas_limit: parent.gas_limit,
            difficulty: next_difficulty(Fork::Byzantium, timestamp, parent),
            beneficiary: Address::repeat_byte(miner),
            ..Header::default()
        }
    }

    /// Ten blocks after genesis; `headers[n]` has number n.
    fn chain() -> (ChainSpec, Chain, Vec<Header>) {
        let spec = ChainSpec::from_network("Byzantium", 1, []).unwrap();
        let mut headers = vec![Header {
            gas_limit: 5_000_000,
            difficulty: "0x20000".parse().unwrap(),
            ..Header::default()
        }];
        for n in 0..10 {
            let next = child(&headers[n], 0);
            headers.push(next);
        }
        let mut chain = Chain::default();
        for header in &headers {
            chain.0.insert(header.hash_slow(), (header.clone(), vec![]));
        }
        (spec, chain, headers)
    }

    fn verdict(ommers: &[Header], setup: impl FnOnce(&mut Chain, &[Header])) -> Option<Exception> {
        let (spec, mut chain, headers) = chain();
        setup(&mut chain, &headers);
        let header = child(&headers[10], 0);
        check_ommers(&spec, &header, ommers, &chain).err().map(|e| e.exception)
    }

    #[test]
    fn ommers_of_the_last_six_generations_are_welcome() {
        let (_, _, headers) = chain();
        // The block has number 11; an ommer of its own number is a sibling.
        for (number, parent) in headers.iter().enumerate() {
            let expected = match number {
                10 => Some(Exception::UncleIsSibling),
                4..=9 => None,
                _ => Some(Exception::UncleParentIncorrect),
            };
            assert_eq!(verdict(&[child(parent, 1)], |_, _| ()), expected, "{number}");
        }
        let two = [child(&headers[9], 1), child(&headers[8], 1)];
        assert_eq!(verdict(&two, |_, _| ()), None);
        assert_eq!(verdict(&[], |_, _| ()), None);
    }

    #[test]
    fn ommers_are_named_once_and_are_no_ancestors() {
        let (_, _, headers) = chain();
        let ommer = child(&headers[8], 1);
        assert_eq!(verdict(&[ommer.clone(), ommer.clone()], |_, _| ()), Some(Exception::UncleIsBrother));
        let three = [child(&headers[8], 1), child(&headers[8], 2), child(&headers[8], 3)];
        assert_eq!(verdict(&three, |_, _| ()), Some(Exception::TooManyUncles));
        assert_eq!(verdict(&headers[9..10], |_, _| ()), Some(Exception::UncleIsAncestor));
        let named_before = ommer.clone();
        let in_chain = verdict(&[ommer], |chain, headers| {
            let block = chain.0.get_mut(&headers[10].hash_slow()).unwrap();
            block.1.push(named_before);
        });
        assert_eq!(in_chain, Some(Exception::UncleInChain));
    }

    #[test]
    fn an_ommer_is_a_valid_child_of_its_parent() {
        let (_, _, headers) = chain();
        let good = child(&headers[8], 1);
        type Spoil = fn(&mut Header);
        let cases: [(Spoil, Exception); 4] = [
            (|h| h.parent_hash = B256::repeat_byte(7), Exception::UncleUnknownParent),
            (|h| h.gas_limit *= 2, Exception::InvalidGasLimit),
            (|h| h.number = 0, Exception::InvalidBlockNumber),
            (|h| h.timestamp = 0, Exception::InvalidTimestamp),
        ];
        for (spoil, expected) in cases {
            let mut ommer = good.clone();
            spoil(&mut ommer);
            assert_eq!(verdict(&[ommer], |_, _| ()), Some(expected));
        }
    }
}
