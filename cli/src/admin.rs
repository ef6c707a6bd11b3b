//! `admin`: what operators ask of services that run, over the operator listener.

mod archive;
mod export;
mod health;
mod identity;
mod import;
mod keys;
mod limits;

use std::path::Path;

use device_agent::{AgentError, probe};
use edge_ledger_chassis::{KeysError, OperatorToken};
use edge_ledger_proto::admin::admin_service_client::AdminServiceClient;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::args::{Admin, AdminCommand, AdminKeys, Global};
use crate::explain::{Exit, Failure};
use crate::limits::OPERATOR_WITHIN;
use crate::output::Output;
use crate::typed::{check_url, security};

/// A service's operator listener, and what opens it. It has no `Debug`.
struct Operator {
    url: String,
    way: probe::Way,
    client: AdminServiceClient<Channel>,
    bearer: AsciiMetadataValue,
}

pub(crate) async fn run(admin: &Admin, global: &Global, output: &Output) -> Result<(), Failure> {
    let mut operator = Operator::connect(admin, global).await?;
    match &admin.act {
        AdminCommand::Health => health::run(&mut operator, output).await,
        AdminCommand::Keys { act: None } => keys::list(&mut operator, output).await,
        AdminCommand::Keys {
            act: Some(AdminKeys::Rotate),
        } => keys::rotate(&mut operator, output).await,
        AdminCommand::Limits => limits::run(&mut operator, output).await,
        AdminCommand::Export { identity } => export::run(&mut operator, *identity, output).await,
        AdminCommand::Import => import::run(&mut operator, output).await,
        AdminCommand::Identity(act) => identity::run(&mut operator, act, output).await,
    }
}

impl Operator {
    async fn connect(admin: &Admin, global: &Global) -> Result<Self, Failure> {
        let url = admin.address.clone();
        check_url("--address", &url, "http://127.0.0.1:7430")?;
        let file = admin.token_file.as_deref().ok_or_else(no_token_file)?;
        let token = OperatorToken::text(file).map_err(|error| token_failure(error, file))?;
        let bearer = AsciiMetadataValue::try_from(format!("Bearer {}", *token));
        let mut bearer =
            bearer.map_err(|_| Failure::refused("KEYS_DAMAGED", "the token is no token"))?;
        bearer.set_sensitive(true);
        // An operator has no home: what is not typed is not known.
        let nowhere = Path::new("");
        let way = probe::way(nowhere, &security(global)?).map_err(AgentError::from)?;
        let channel = probe::connection("operator", &url, &way).await;
        let channel = channel.map_err(failure)?;
        Ok(Self {
            client: AdminServiceClient::new(channel),
            url,
            way,
            bearer,
        })
    }

    /// A request with the token.
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = self.long_request(message);
        request.set_timeout(OPERATOR_WITHIN);
        request
    }

    /// The same without a time by which it must be answered.
    fn long_request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", self.bearer.clone());
        request
    }

    /// Why a call failed.
    async fn refused(&self, status: Status) -> Failure {
        failure(probe::meaning("operator", &self.url, &self.way, &status).await)
    }
}

fn no_token_file() -> Failure {
    Failure::usage("USAGE", "an operator's token is needed").next(
        "give its file with --token-file FILE: the one of operator.token_file, or with \
         `edge-ledger up --operator-listen ADDR` operator.token in the keys folder",
    )
}

fn token_failure(error: KeysError, file: &Path) -> Failure {
    if let KeysError::Exposed { .. } = error {
        return error.into();
    }
    let next = if let KeysError::Io { .. } = error {
        format!("let this user read {}", file.display())
    } else {
        "give the file that the service has as operator.token_file, with --token-file FILE"
            .to_owned()
    };
    Failure::from(error).next(next)
}

fn failure(error: AgentError) -> Failure {
    if let AgentError::Unreachable { .. } = error {
        let message = error.to_string();
        return Failure::new(Exit::Temporary, "UNREACHABLE", message).next(
            "see that operators are answered there (`edge-ledger up --operator-listen ADDR`, or \
             operator.listen of a service), or give its address with --address URL",
        );
    }
    let AgentError::Refused(refusal) = error else {
        let mut failure = Failure::from(error);
        let next = failure.next.take();
        // An operator types one address.
        failure.next = next.map(|next| next.replace("--operator-url", "--address"));
        return failure;
    };
    let failure = Failure::refused(&refusal.reason, refusal.message);
    match refusal.reason.as_str() {
        "OPERATOR_TOKEN" => {
            failure.next("give the token file of exactly this service with --token-file FILE")
        }
        "UNKNOWN_METHOD" => failure.next(
            "--address URL is that of a service, and not where it answers operators: see \
             operator.listen",
        ),
        _ => failure,
    }
}
