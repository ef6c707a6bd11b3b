//! `keys operator-token`: what lets an operator in.

use std::fmt;
use std::path::PathBuf;

use edge_ledger_chassis::OperatorToken;
use serde::Serialize;

use crate::args::KeysOperatorToken;
use crate::explain::Failure;
use crate::folders::absolute;
use crate::output::Output;

/// The file that was made. The token is not told.
#[derive(Debug, Serialize)]
struct Made {
    file: PathBuf,
}

pub(super) async fn run(options: &KeysOperatorToken, output: &Output) -> Result<(), Failure> {
    OperatorToken::make(&options.out)?;
    let file = absolute(&options.out);
    output.print(&Made { file }).await
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        writeln!(f, "Made an operator token in {file}, for its owner alone.")?;
        write!(
            f,
            "Next:  set operator.token_file to it and operator.listen beside, and type\n  \
             edge-ledger admin --token-file {file} health"
        )
    }
}
