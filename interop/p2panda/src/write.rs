//! `write FILE`: operations signed by p2panda-core from fixed seeds. The same bytes on every run.

use std::fs;

use p2panda_core::{Body, Hash, Header, SigningKey};

use crate::extensions::NodeExtensions;
use crate::line::{Failure, Line};

/// Body sizes around every width that CBOR has for an integer below 1000. 0 is no body.
const SIZES: [usize; 8] = [0, 1, 23, 24, 255, 256, 300, 0];

/// Timestamps around every width that CBOR has for an integer.
const TIMESTAMPS: [u64; 12] = [
    0,
    23,
    24,
    255,
    256,
    65_535,
    65_536,
    4_294_967_295,
    4_294_967_296,
    1_700_000_000_000_000,
    u64::MAX - 1,
    u64::MAX,
];

/// First sequence numbers of logs that were pruned, each followed by a few more: around every width, and up
/// to the last one there is.
const STARTS: [u32; 6] = [22, 254, 65_534, 70_000, 2_147_483_646, u32::MAX - 2];

pub fn run(path: &str) -> Result<String, Failure> {
    let mut out = Writer { lines: Vec::new() };

    let mut log = Log::new(1, "sizes");
    for size in SIZES {
        out.push(&mut log, 1_700_000_000_000_000, false, &vec![0xab; size]);
    }

    let mut log = Log::new(1, "timestamps");
    for timestamp in TIMESTAMPS {
        out.push(&mut log, timestamp, false, b"Hello, Sloth!");
    }

    let mut log = Log::new(2, "prune flags");
    for at in 0..6 {
        out.push(
            &mut log,
            at,
            at % 3 == 2,
            if at % 2 == 0 { b"" } else { b"{}" },
        );
    }

    for start in STARTS {
        let mut log = Log::new(3, &format!("pruned below {start}"));
        log.seq = start;
        log.backlink = Some(Hash::digest(format!("operation {}", start - 1)));
        for at in 0..3 {
            out.push(&mut log, 1_700_000_000_000_000 + at, at == 0, b"restated");
        }
    }

    // A header stays valid when its body is gone; this one is too large for a file of test vectors.
    let mut log = Log::new(2, "body not at hand");
    out.push(&mut log, 1, false, &vec![0; 70_000]);
    out.lines.last_mut().expect("a line was just written").body = None;

    let mut text = String::new();
    for line in &out.lines {
        text.push_str(&serde_json::to_string(line)?);
        text.push('\n');
    }
    fs::write(path, text)?;
    Ok(format!("p2panda-core wrote {} operations", out.lines.len()))
}

/// The next place in a log.
struct Log {
    key: SigningKey,
    id: Hash,
    seq: u32,
    backlink: Option<Hash>,
}

impl Log {
    fn new(seed: u8, name: &str) -> Self {
        Self {
            key: SigningKey::from_bytes(&[seed; 32]),
            id: Hash::digest(name),
            seq: 0,
            backlink: None,
        }
    }
}

struct Writer {
    lines: Vec<Line>,
}

impl Writer {
    fn push(&mut self, log: &mut Log, timestamp: u64, prune: bool, body: &[u8]) {
        // An empty body is no body.
        let body = (!body.is_empty()).then(|| Body::new(body));
        let mut header = Header {
            version: 1,
            verifying_key: log.key.verifying_key(),
            signature: None,
            payload_size: body.as_ref().map_or(0, Body::size),
            payload_hash: body.as_ref().map(Body::hash),
            seq_num: log.seq,
            backlink: log.backlink,
            extensions: NodeExtensions {
                log: log.id,
                timestamp,
                prune,
            },
        };
        header.sign(&log.key);
        log.seq = log.seq.wrapping_add(1);
        log.backlink = Some(header.hash());
        self.lines.push(Line {
            id: header.hash().to_hex(),
            header: hex::encode(header.to_bytes()),
            body: body.map(|b| hex::encode(b.as_bytes())),
        });
    }
}
