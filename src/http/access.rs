//! Who may ask, and a line in the log about every request.

use super::entrance::Entrance;
use super::refusal::Refusal;
use super::routes;
use super::seats::{Occupied, Seat, TooManyRequests};
use crate::config::BearerToken;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError, web};
use std::hint::black_box;

/// Lets a request through when it is for this node, bears the token if one is needed, comes from no web page,
/// and not too many others are under way. The connection of one that is refused is closed.
pub(super) async fn check(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    match admit(&request) {
        Ok(admitted) => {
            let response = next.call(request).await?;
            drop(admitted);
            Ok(response.map_into_left_body())
        }
        Err(refusal) => {
            let mut response = refusal.error_response();
            if response.status() == StatusCode::UNAUTHORIZED {
                let headers = response.headers_mut();
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            let head = response.head_mut();
            head.set_connection_type(ConnectionType::Close);
            Ok(request.into_response(response).map_into_right_body())
        }
    }
}

/// Answers with what keeps the connection until the request is answered. Health checks are always let
/// through, and prove nothing.
fn admit(request: &ServiceRequest) -> Result<Option<Occupied>, Refusal> {
    let entrance = request.app_data::<web::Data<Entrance>>();
    let Some(entrance) = entrance.filter(|_| !routes::is_open(request.path())) else {
        return Ok(None);
    };
    let headers = request.headers();
    let is_ours = entrance.hosts.check(request.uri(), headers);
    is_ours.map_err(|name| other_host(&name))?;
    judge(headers, entrance.token.as_ref())?;
    let occupied = request.conn_data::<Seat>().map(Seat::occupy).transpose();
    occupied.map_err(|TooManyRequests| {
        let message = "too many requests are under way; send it again in a second";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, message)
    })
}

fn other_host(name: &str) -> Refusal {
    let message = format!(
        "this node does not answer requests for the host `{name}`; ask 127.0.0.1 or localhost, or add the \
         name to `http.host-names`"
    );
    Refusal::new(StatusCode::FORBIDDEN, message)
}

/// Writes what was asked and answered to the log.
pub(super) async fn record(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let response = next.call(request).await?;
    let status = response.status().as_u16();
    tracing::debug!(%method, path, status, "answered a request");
    Ok(response)
}

fn judge(headers: &HeaderMap, token: Option<&BearerToken>) -> Result<(), Refusal> {
    if let Some(token) = token {
        return if bears(headers, token) {
            Ok(())
        } else {
            Err(unauthorized())
        };
    }
    // Without a token, any page that is open in a browser of this machine could submit jobs: a
    // browser sends them for it, and says so.
    if headers.contains_key(ORIGIN) {
        let message = "a node without a token does not answer web pages; set `http.bearer-token`, \
                       and send it";
        return Err(Refusal::new(StatusCode::FORBIDDEN, message));
    }
    Ok(())
}

fn unauthorized() -> Refusal {
    let message = "this node wants the header `Authorization: Bearer <token>` with the token of \
                   its configuration; the command line takes it from --token or ONYX_TOKEN";
    Refusal::new(StatusCode::UNAUTHORIZED, message)
}

fn bears(headers: &HeaderMap, token: &BearerToken) -> bool {
    let given = headers
        .get(AUTHORIZATION)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    const SCHEME: &[u8] = b"bearer ";
    let Some((scheme, given)) = given.split_at_checked(SCHEME.len()) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(SCHEME) && are_equal(given, token.expose().as_bytes())
}

/// Takes as long for a guess that is nearly right as for any other of that length.
fn are_equal(one: &[u8], other: &[u8]) -> bool {
    let differences = one
        .iter()
        .zip(other)
        .fold(0, |sum, (a, b)| black_box(sum | (a ^ b)));
    one.len() == other.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: actix_web::http::header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    fn status(headers: &HeaderMap, token: Option<&BearerToken>) -> Option<u16> {
        judge(headers, token)
            .err()
            .map(|refusal| refusal.status_code().as_u16())
    }

    #[test]
    fn only_the_whole_token_opens() {
        let token = BearerToken::new("s3cret");
        for (given, expected) in [
            ("Bearer s3cret", None),
            ("bearer s3cret", None),
            ("Bearer s3cre", Some(401)),
            ("Bearer s3cretX", Some(401)),
            ("Bearer s3creT", Some(401)),
            ("Bearer ", Some(401)),
            ("Bearer", Some(401)),
            ("Basic s3cret", Some(401)),
            ("s3cret", Some(401)),
            ("", Some(401)),
        ] {
            assert_eq!(
                status(&headers(AUTHORIZATION, given), token.as_ref()),
                expected,
                "{given}"
            );
        }
        assert_eq!(status(&HeaderMap::new(), token.as_ref()), Some(401));
    }

    #[test]
    fn without_a_token_everybody_but_a_web_page_is_answered() {
        assert_eq!(status(&HeaderMap::new(), None), None);
        assert_eq!(
            status(&headers(ORIGIN, "http://localhost:3000"), None),
            Some(403)
        );
    }

    #[test]
    fn a_web_page_with_the_token_is_answered() {
        let mut both = headers(ORIGIN, "http://localhost:3000");
        both.insert(AUTHORIZATION, HeaderValue::from_static("Bearer s3cret"));
        assert_eq!(status(&both, BearerToken::new("s3cret").as_ref()), None);
    }
}
