//! What the errors of the client mean.

use crate::coordination::CoordinationError;
use zookeeper_client::Error;

/// What became of a request. What the server has answered with is a refusal; everything else leaves
/// open whether the request arrived.
pub(super) fn error_of(what: &str, error: Error) -> CoordinationError {
    let refused = |reason: String| CoordinationError::Refused {
        what: what.to_owned(),
        reason,
    };
    match error {
        Error::SessionExpired | Error::ClientClosed | Error::AuthFailed => {
            CoordinationError::Expired
        }
        Error::NoAuth => refused("it is not for the login of coordination.digest-user".into()),
        Error::NoNode
        | Error::NodeExists
        | Error::BadVersion
        | Error::NotEmpty
        | Error::NoChildrenForEphemerals
        | Error::BadArguments(_)
        | Error::InvalidAcl
        | Error::QuotaExceeded
        | Error::Unimplemented
        | Error::MarshallingError
        | Error::ReconfigDisabled
        | Error::NoWatcher
        | Error::UnexpectedErrorCode(_) => refused(error.to_string()),
        // An operation that the connection cut short comes back under several names, and one whose
        // answer makes no sense may have happened. Attempts at either are bounded.
        other => CoordinationError::Interrupted(format!("{what}: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_answers_is_a_refusal_and_what_it_does_not_is_open() {
        for answered in [
            Error::NoNode,
            Error::Unimplemented,
            Error::UnexpectedErrorCode(-1),
        ] {
            let error = error_of("it", answered);
            assert!(
                matches!(error, CoordinationError::Refused { .. }),
                "{error}"
            );
        }
        for open in [Error::ConnectionLoss, Error::Timeout, Error::Throttled] {
            let error = error_of("it", open);
            assert!(
                matches!(error, CoordinationError::Interrupted(_)),
                "{error}"
            );
        }
    }
}
