//! `verify FILE`: every line must be an operation that p2panda accepts, and the lines of each log a chain.

use std::collections::HashMap;
use std::fs;

use p2panda_core::cbor::decode_cbor;
use p2panda_core::prune::validate_prunable_backlink;
use p2panda_core::{
    validate_backlink, validate_operation, Body, Hash, Header, Operation, VerifyingKey,
};

use crate::extensions::NodeExtensions;
use crate::line::{Failure, Line};

type LogKey = (VerifyingKey, Hash);

pub fn run(path: &str) -> Result<String, Failure> {
    let mut heads: HashMap<LogKey, Header<NodeExtensions>> = HashMap::new();
    let mut count = 0;
    for (at, text) in fs::read_to_string(path)?.lines().enumerate() {
        let header = check(text).map_err(|err| format!("{path}, line {}: {err}", at + 1))?;
        let key = (header.verifying_key, header.extensions.log);
        follows(heads.get(&key), &header)
            .map_err(|err| format!("{path}, line {}: {err}", at + 1))?;
        heads.insert(key, header);
        count += 1;
    }
    if count == 0 {
        return Err(format!("{path}: no operation").into());
    }
    Ok(format!(
        "p2panda-core accepts {count} operations in {} logs",
        heads.len()
    ))
}

/// Decodes one operation and holds everything that can be said of it alone.
fn check(text: &str) -> Result<Header<NodeExtensions>, Failure> {
    let line: Line = serde_json::from_str(text)?;
    let bytes = hex::decode(&line.header)?;
    let header: Header<NodeExtensions> = decode_cbor(&bytes[..])?;
    if header.to_bytes() != bytes {
        return Err(format!("encoded again it is {}", hex::encode(header.to_bytes())).into());
    }
    if header.hash().to_hex() != line.id {
        return Err(format!("its id is {}, not {}", header.hash(), line.id).into());
    }
    let body = line.body.map(hex::decode).transpose()?.map(Body::from);
    validate_operation(Operation {
        hash: header.hash(),
        header: header.clone(),
        body,
    })?;
    Ok(header)
}

/// Holds that an operation follows the one before it in its log. The first one of a log that was pruned may
/// have any sequence number.
fn follows(
    past: Option<&Header<NodeExtensions>>,
    header: &Header<NodeExtensions>,
) -> Result<(), Failure> {
    validate_prunable_backlink(past, header, header.extensions.prune)?;
    if let Some(past) = past {
        // What p2panda does not ask of an operation with the prune flag, mesh keeps all the same.
        validate_backlink(past, header)?;
    }
    Ok(())
}
