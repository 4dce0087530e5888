//! The Node extensions, an array of five: `[1, 0, log id, timestamp, prune flag]`.
//!
//! The p2panda crate has them too, but brings a whole network stack along; p2panda-core takes any type.

use p2panda_core::Hash;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const VERSION: u16 = 1;
const VARIANT_BASIC: u16 = 0;

#[derive(Clone, Debug, PartialEq)]
pub struct NodeExtensions {
    /// 32 bytes, encoded as a byte string like every hash.
    pub log: Hash,
    /// Microseconds since the Unix epoch.
    pub timestamp: u64,
    pub prune: bool,
}

impl Serialize for NodeExtensions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (
            VERSION,
            VARIANT_BASIC,
            &self.log,
            self.timestamp,
            self.prune,
        )
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NodeExtensions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (version, variant, log, timestamp, prune) =
            <(u16, u16, Hash, u64, bool)>::deserialize(deserializer)?;
        if version != VERSION {
            return Err(D::Error::custom("unsupported extensions version"));
        }
        if variant != VARIANT_BASIC {
            return Err(D::Error::custom("unsupported extensions variant"));
        }
        Ok(Self {
            log,
            timestamp,
            prune,
        })
    }
}
