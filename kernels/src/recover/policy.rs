//! Which signatures Ethereum accepts where: three contracts that are never mixed.
//!
//! Each turns what its caller was given into a [`Signature`] for the raw kernel, or says why not. They are
//! pure, and all that recovers for Ethereum goes through one of them; ids 2 and 3, which only the raw kernel knows, come
//! out of none.

use super::{Signature, Word};

/// n / 2, rounded down: the highest s that is *low*. n is the order of the group.
pub const HALF_ORDER: Word = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x5d,
    0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// Which s a transaction may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SRule {
    /// 1 to n − 1: Frontier.
    Any,
    /// 1 to n / 2: from Homestead on (EIP-2).
    Low,
}

/// Why a signature may not be used where it stands, whoever signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The y parity is neither 0 nor 1.
    #[error("y parity is neither 0 nor 1")]
    Parity,
    /// s is over n / 2.
    #[error("s is over half the group order")]
    HighS,
}

/// Whether s is at most n / 2. Of (r, s) and its twin (r, n − s) exactly one is low.
#[must_use]
pub fn is_low_s(s: &Word) -> bool {
    // Big-endian numbers of one length are in the order of their bytes.
    *s <= HALF_ORDER
}

/// The signature of a transaction: y parity, which the caller has taken out of v (EIP-155, EIP-2718), r and s.
/// Chain ids are the caller's business too.
///
/// # Errors
/// [`Refusal`].
pub fn transaction_sender(y_parity: u64, r: Word, s: Word, rule: SRule) -> Result<Signature, Refusal> {
    let recovery_id = parity(y_parity)?;
    if rule == SRule::Low && !is_low_s(&s) {
        return Err(Refusal::HighS);
    }
    Ok(Signature { r, s, recovery_id })
}

/// The signature of an authorization tuple (EIP-7702): low s, y parity 0 or 1. Who is refused here is skipped; his
/// transaction stands.
///
/// # Errors
/// [`Refusal`].
pub fn authority(y_parity: u64, r: Word, s: Word) -> Result<Signature, Refusal> {
    transaction_sender(y_parity, r, s, SRule::Low)
}

/// The input of the precompile ECRECOVER (Yellow Paper, appendix E): v, as a word, is 27 or 28; any s. `None` is
/// an empty output, not an error.
#[must_use]
pub fn precompile(v: &Word, r: Word, s: Word) -> Option<Signature> {
    let (last, high) = v.split_last()?;
    if high.iter().any(|&byte| byte != 0) {
        return None;
    }
    let recovery_id = last.checked_sub(27).filter(|&id| id < 2)?;
    Some(Signature { r, s, recovery_id })
}

fn parity(y_parity: u64) -> Result<u8, Refusal> {
    match y_parity {
        0 => Ok(0),
        1 => Ok(1),
        _ => Err(Refusal::Parity),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(last: u8) -> Word {
        let mut word = [0; 32];
        word[31] = last;
        word
    }

    #[test]
    fn low_s_ends_at_half_the_order() {
        let mut above = HALF_ORDER;
        above[31] += 1;
        assert!(is_low_s(&HALF_ORDER) && !is_low_s(&above));
        // 2 * HALF_ORDER + 1 = n.
        let order = k256::U256::from(k256::Scalar::ZERO - k256::Scalar::ONE).wrapping_add(&k256::U256::ONE);
        let half = k256::U256::from_be_slice(&HALF_ORDER);
        assert_eq!(half.wrapping_add(&half).wrapping_add(&k256::U256::ONE), order);
    }

    #[test]
    fn the_fork_decides_on_high_s_for_transactions_and_never_for_authorities() {
        let high = [0x80; 32];
        assert_eq!(transaction_sender(0, word(1), high, SRule::Low), Err(Refusal::HighS));
        assert!(transaction_sender(1, word(1), high, SRule::Any).is_ok_and(|s| s.recovery_id == 1));
        assert_eq!(authority(0, word(1), high), Err(Refusal::HighS));
        assert!(authority(1, word(1), HALF_ORDER).is_ok());
    }

    #[test]
    fn ids_2_and_3_come_out_of_no_contract() {
        for id in [2, 3, 27, 256, u64::MAX] {
            assert_eq!(transaction_sender(id, word(1), word(1), SRule::Any), Err(Refusal::Parity));
            assert_eq!(authority(id, word(1), word(1)), Err(Refusal::Parity));
        }
        for last in (0..=255).filter(|last| !(27..=28).contains(last)) {
            assert_eq!(precompile(&word(last), word(1), word(1)), None, "v = {last}");
        }
    }

    #[test]
    fn the_precompile_takes_any_s_and_reads_all_of_v() {
        for (v, id) in [(27, 0), (28, 1)] {
            assert_eq!(precompile(&word(v), word(1), [0xfe; 32]).map(|s| s.recovery_id), Some(id));
        }
        let mut v = word(27);
        v[0] = 1;
        assert_eq!(precompile(&v, word(1), word(1)), None);
    }
}
