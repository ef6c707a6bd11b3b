//! Who may call: whoever shows the operator's token.
//!
//! The right token always opens. Wrong ones are counted by address, so that nobody fills the log;
//! guessing 256 random bits needs no further hindrance, and nobody can lock the operator out.

use std::sync::Arc;

use edge_ledger_chassis::{OperatorToken, Peer, Rate, Reason, refusal};
use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::limits::WRONG_TOKENS_PER_MINUTE;

/// Looks at the token of every call.
#[derive(Clone)]
pub(crate) struct Gate {
    token: OperatorToken,
    wrong: Arc<Rate>,
}

impl Gate {
    pub(crate) fn new(token: OperatorToken) -> Self {
        // No address stands for many operators.
        let wrong = Rate::per_minute(WRONG_TOKENS_PER_MINUTE, Vec::new());
        Self {
            token,
            wrong: Arc::new(wrong),
        }
    }
}

impl Interceptor for Gate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let shown = bearer(request.metadata());
        if shown.is_some_and(|shown| self.token.fits(shown)) {
            return Ok(request);
        }
        self.wrong.admit(request.extensions())?;
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
        tracing::warn!(?peer, "an operator's call without the token was refused");
        let what = match shown {
            Some(_) => "the operator token does not fit",
            None => "an operator token is needed",
        };
        Err(refusal(Reason::OperatorToken, what))
    }
}

fn bearer(metadata: &MetadataMap) -> Option<&str> {
    let value = metadata.get("authorization")?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}
