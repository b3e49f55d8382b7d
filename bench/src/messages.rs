//! Payloads as transactions sign them, and their signatures.

use crate::Random;
use outrider::generate::Wallet;
use outrider_kernels::{
    keccak::{PayloadsBuf, keccak256_one},
    recover::Signature,
};

/// `len` payloads with the lengths of mainnet's signing payloads: half of them around 50 bytes (a
/// transfer), most of the rest 110 to 250 (a token transfer, a swap), one in fifty up to two
/// kilobytes. Every fourth byte is zero, as in ABI-encoded calldata.
///
/// # Panics
/// Never for fewer than two million payloads, which stay below 4 GiB.
#[must_use]
pub fn payloads(len: usize, seed: u64) -> PayloadsBuf {
    let mut random = Random(seed);
    let mut payloads = PayloadsBuf::with_capacity(len, len * 150);
    for _ in 0..len {
        let bytes = match random.below(50) {
            0 => 250 + random.below(1_800),
            1..25 => 110 + random.below(140),
            _ => 44 + random.below(12),
        };
        let write = |out: &mut Vec<u8>| {
            out.extend((0..bytes).map(|index| {
                let [byte, ..] = random.next().to_le_bytes();
                if index % 4 == 3 { 0 } else { byte }
            }));
        };
        payloads.push_with(write).expect("far below 4 GiB");
    }
    payloads
}

/// Signed payloads and who signed them.
#[derive(Clone, Debug)]
pub struct SignedMessages {
    /// What was signed.
    pub payloads: PayloadsBuf,
    /// Hashes of the payloads.
    pub hashes: Vec<[u8; 32]>,
    /// A signature of each.
    pub signatures: Vec<Signature>,
    /// The signer of each.
    pub addresses: Vec<[u8; 20]>,
}

/// `len` messages, each signed with its own key.
#[must_use]
pub fn signed_messages(len: usize, seed: u64) -> SignedMessages {
    use rayon::prelude::*;
    let payloads = payloads(len, seed);
    let hashes: Vec<[u8; 32]> = payloads.as_payloads().iter().map(keccak256_one).collect();
    let (signatures, addresses) = hashes
        .par_iter()
        .enumerate()
        .map(|(index, hash)| {
            let wallet = Wallet::derive(seed, index as u64);
            let signature = wallet.sign((*hash).into());
            let signature = Signature {
                r: signature.r().to_be_bytes(),
                s: signature.s().to_be_bytes(),
                recovery_id: u8::from(signature.v()),
            };
            (signature, wallet.address().into_array())
        })
        .unzip();
    SignedMessages { payloads, hashes, signatures, addresses }
}
