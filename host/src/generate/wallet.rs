//! Accounts that can sign.

use alloy_primitives::{Address, B256, Signature, U256, keccak256};
use rayon::prelude::*;
use secp256k1::{SecretKey, ecdsa::RecoverableSignature};

/// A private key and its address.
///
/// Test keys: anyone who knows the seed can derive them.
#[derive(Clone, Debug)]
pub struct Wallet {
    key: SecretKey,
    address: Address,
}

impl Wallet {
    /// The wallet with that index under a seed.
    pub fn derive(seed: u64, index: u64) -> Self {
        let mut preimage = *b"outrider generate\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        preimage[17..25].copy_from_slice(&seed.to_be_bytes());
        preimage[25..33].copy_from_slice(&index.to_be_bytes());
        let mut candidate = keccak256(preimage);
        // All but about one in 2^128 hashes are keys.
        let key = loop {
            match SecretKey::from_secret_bytes(candidate.0) {
                Ok(key) => break key,
                Err(_) => candidate = keccak256(candidate),
            }
        };
        let public = key.public_key().serialize_uncompressed();
        Self { key, address: Address::from_raw_public_key(&public[1..]) }
    }

    /// Its address.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The first `count` wallets under a seed.
    pub(super) fn derive_all(seed: u64, count: usize) -> Vec<Self> {
        (0..count as u64).into_par_iter().map(|index| Self::derive(seed, index)).collect()
    }

    /// Signs a hash, with the nonce of RFC 6979 and a low s, as wallets do.
    pub fn sign(&self, hash: B256) -> Signature {
        let message = secp256k1::Message::from_digest(hash.0);
        let signature = RecoverableSignature::sign_ecdsa_recoverable(message, &self.key);
        let (recovery_id, compact) = signature.serialize_compact();
        Signature::new(
            U256::from_be_slice(&compact[..32]),
            U256::from_be_slice(&compact[32..]),
            recovery_id.to_u8() & 1 == 1,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_recover_to_the_wallet() {
        for index in 0..8 {
            let wallet = Wallet::derive(3, index);
            let hash = keccak256(index.to_be_bytes());
            let signature = wallet.sign(hash);
            assert_eq!(signature.recover_address_from_prehash(&hash).unwrap(), wallet.address());
            assert_eq!(signature.normalize_s(), None, "low s");
        }
    }
}
