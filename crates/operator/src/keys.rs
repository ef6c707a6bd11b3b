//! The service keys: which sign, and making another one where that is this process's business.

use edge_ledger_chassis::{KeysError, KeysFolder, Reason, Signing, refusal};
use edge_ledger_proto::admin as wire;
use tonic::Status;

/// The keys of the process.
pub(crate) struct Keys {
    pub(crate) signer: Signing,
    /// Whether it may write into their folder.
    pub(crate) rotates: bool,
}

impl Keys {
    pub(crate) async fn list(&self) -> Result<wire::ListKeysResponse, Status> {
        let folder = self.signer.folder().cloned();
        let signing_serial = self.signer.serial();
        let folder_serials = match folder.clone() {
            Some(folder) => on_disk(move || folder.certified()).await?,
            None => vec![signing_serial],
        };
        let path = folder.map(|folder| folder.path().display().to_string());
        Ok(wire::ListKeysResponse {
            signing_serial,
            folder_serials,
            rotates: self.rotates,
            folder: path.unwrap_or_default(),
        })
    }

    pub(crate) async fn rotate(&self) -> Result<wire::RotateServiceKeyResponse, Status> {
        let folder = self.signer.folder().filter(|_| self.rotates).cloned();
        let folder: KeysFolder = folder.ok_or_else(|| {
            refusal(
                Reason::RotatesElsewhere,
                "this process writes nothing into its keys folder",
            )
        })?;
        let signer = self.signer.clone();
        let rotated = on_disk(move || {
            let rotated = folder.rotate(None)?;
            // What is in the way is complained of where the folder is looked at anyway.
            let _ = signer.reload();
            Ok(rotated)
        })
        .await?;
        tracing::info!(serial = rotated.serial, "an operator made a service key");
        Ok(wire::RotateServiceKeyResponse {
            serial: rotated.serial,
            kept_serial: rotated.kept,
            retired_serials: rotated.retired,
        })
    }
}

/// Does something with files, off the threads of connections.
async fn on_disk<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, KeysError> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(act).await;
    let done = done.map_err(|_| refusal(Reason::Draining, "this process stops"))?;
    done.map_err(|error| {
        tracing::warn!(%error, "an operator's call on the keys folder failed");
        let what = format!("{error} ({})", error.what_to_do());
        refusal(Reason::RotatesElsewhere, &what)
    })
}
