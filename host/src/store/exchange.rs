//! A whole state as other programs know it: the `alloc` object of genesis files, and headers as RLP.

use super::KeptHeader;
use crate::state::{StateRead as _, World};
use alloy_consensus::Header;
use alloy_primitives::{Address, U256};
use alloy_rlp::Decodable as _;
use std::io::{self, Write};

/// Writes a whole state as the `alloc` object of a genesis file, account by account in order of address:
/// `{"0x…": {"balance": "0x…", "nonce": "0x…", "code": "0x…", "storage": {"0x…": "0x…"}}}`. What is zero or empty is left out,
/// the balance apart.
///
/// # Errors
/// A failure to write, and code that the state lacks.
pub fn write_accounts(world: &World, out: &mut impl Write) -> io::Result<()> {
    let mut addresses: Vec<&Address> = world.accounts().keys().collect();
    addresses.sort_unstable();
    out.write_all(b"{")?;
    let mut separator = "\n";
    for address in addresses {
        let account = &world.accounts()[address];
        write!(out, "{separator}\"{address:#x}\": {{\"balance\": \"{:#x}\"", account.balance)?;
        separator = ",\n";
        if account.nonce != 0 {
            write!(out, ", \"nonce\": \"{:#x}\"", account.nonce)?;
        }
        if account.has_code() {
            let code = world.code(&account.code_hash).map_err(io::Error::other)?;
            write!(out, ", \"code\": \"{}\"", code.original_bytes())?;
        }
        if let Some(slots) = world.slots(address) {
            let mut slots: Vec<(&U256, &U256)> = slots.iter().collect();
            slots.sort_unstable();
            out.write_all(b", \"storage\": {")?;
            for (place, (slot, value)) in slots.into_iter().enumerate() {
                let separator = if place == 0 { "" } else { ", " };
                write!(out, "{separator}\"{slot:#066x}\": \"{value:#066x}\"")?;
            }
            out.write_all(b"}")?;
        }
        out.write_all(b"}")?;
    }
    out.write_all(b"\n}\n")
}

/// Writes headers as RLP, one after the other.
///
/// # Errors
/// A failure to write.
pub fn write_headers(headers: &[KeptHeader], out: &mut impl Write) -> io::Result<()> {
    headers.iter().try_for_each(|kept| out.write_all(&alloy_rlp::encode(&kept.header)))
}

/// Reads headers as [`write_headers`] writes them: each the parent of the next. Ommers and total difficulties are not among
/// them, which matters before the merge alone.
///
/// # Errors
/// In words, what is wrong with which of them.
pub fn read_headers(mut rlp: &[u8]) -> Result<Vec<KeptHeader>, String> {
    let mut headers: Vec<KeptHeader> = Vec::new();
    while !rlp.is_empty() {
        let place = headers.len();
        let header = Header::decode(&mut rlp).map_err(|error| format!("header {place}: {error}"))?;
        let follows = headers.last().is_none_or(|parent| {
            parent.hash == header.parent_hash && parent.header.number.checked_add(1) == Some(header.number)
        });
        if !follows {
            return Err(format!("header {place}: does not follow the one before it"));
        }
        let hash = header.hash_slow();
        headers.push(KeptHeader { hash, header, ommers: Vec::new(), total_difficulty: U256::ZERO });
    }
    Ok(headers)
}
