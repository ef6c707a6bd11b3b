//! Whether a service takes work (`grpc.health.v1`).

use std::time::Duration;

use crate::identity_client::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::error::AgentError;
use crate::identity_client::{connect, from_first_status, timed};
use crate::security::Secured;

/// Whether a service says that it takes work.
pub(crate) async fn takes_work(channel: Channel) -> Result<bool, Status> {
    let whole = HealthCheckRequest::default();
    let said = HealthClient::new(channel).check(timed(whole)).await?;
    Ok(said.into_inner().status() == ServingStatus::Serving)
}

/// Opens a connection; with `within`, to a service that says by then that it takes work.
///
/// # Errors
/// [`AgentError::Unreachable`], [`AgentError::Tls`].
pub(crate) async fn connect_healthy(
    service: &'static str,
    url: &str,
    secured: &Secured,
    within: Option<Duration>,
) -> Result<Channel, AgentError> {
    let Some(within) = within else {
        return connect(service, url, secured).await;
    };
    let unreachable = |why: String| AgentError::Unreachable {
        service,
        url: url.to_owned(),
        why,
    };
    let healthy = async {
        let channel = connect(service, url, secured).await?;
        match takes_work(channel.clone()).await {
            Ok(true) => Ok(channel),
            Ok(false) => Err(unreachable("it says that it takes no work".to_owned())),
            // What stands before it does not pass the question on.
            Err(status) if status.code() == Code::Unimplemented => Ok(channel),
            Err(status) => Err(from_first_status(service, url, secured, &status).await),
        }
    };
    match tokio::time::timeout(within, healthy).await {
        Ok(connected) => connected,
        Err(_) => {
            let seconds = within.as_secs();
            Err(unreachable(format!("no answer within {seconds} s")))
        }
    }
}
