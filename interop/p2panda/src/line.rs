//! One operation in a file.

use serde::{Deserialize, Serialize};

pub type Failure = Box<dyn std::error::Error>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// What the writer believes the operation id to be.
    pub id: String,
    pub header: String,
    /// Null where the operation has no body, or its body is not at hand.
    pub body: Option<String>,
}
