//! tonic answers by itself what it cannot decode or route, with codes that differ from the gRPC
//! specification and without a reason. These functions give such answers the common form.

use http::Response;
use tonic::{Code, Status};

use super::{Reason, refusal};

const DETAILS: &str = "grpc-status-details-bin";

/// A status that tonic made, of a message that could not be received, as a refusal. A refusal
/// stays as it is, and so does the end of a call that the caller gave up.
pub fn from_decode(status: Status) -> Status {
    if !status.details().is_empty() {
        return status;
    }
    match status.code() {
        Code::OutOfRange => refusal(
            Reason::MessageTooLarge,
            "a message is larger than it may be",
        ),
        // tonic's router says nothing more; its decoder names a compression that is off.
        Code::Unimplemented if status.message().is_empty() => {
            refusal(Reason::UnknownMethod, "this service has no such method")
        }
        Code::Unimplemented | Code::Internal | Code::Unknown => {
            refusal(Reason::BadMessage, "a message cannot be decoded")
        }
        Code::Ok
        | Code::Cancelled
        | Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => status,
    }
}

/// Gives an answer without body that tonic made itself the common form.
pub fn rewrite<B: Default>(response: Response<B>) -> Response<B> {
    let headers = response.headers();
    if !headers.contains_key("grpc-status") || headers.contains_key(DETAILS) {
        return response;
    }
    match Status::from_header_map(headers) {
        Some(status) if status.code() != Code::Ok => from_decode(status).into_http(),
        Some(_) | None => response,
    }
}

#[cfg(test)]
mod tests {
    use super::super::reason_of;
    use super::*;

    #[test]
    fn what_tonic_says_gets_a_reason() {
        let cases = [
            (Status::out_of_range("too large"), Reason::MessageTooLarge),
            (Status::internal("failed to decode"), Reason::BadMessage),
            (Status::unimplemented("gzip"), Reason::BadMessage),
            (Status::unimplemented(""), Reason::UnknownMethod),
        ];
        for (status, reason) in cases {
            let response = rewrite(status.into_http::<()>());
            let status = Status::from_header_map(response.headers()).unwrap();
            assert_eq!(status.code(), reason.code());
            assert_eq!(reason_of(&status).as_deref(), Some(reason.as_str()));
        }
    }

    #[test]
    fn refusals_and_other_answers_stay() {
        let refused = refusal(Reason::Forbidden, "not yours");
        assert_eq!(from_decode(refused.clone()).message(), refused.message());
        let response = rewrite(refused.into_http::<()>());
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(reason_of(&status).as_deref(), Some("FORBIDDEN"));
        assert!(rewrite(Response::new(())).headers().is_empty());
    }
}
