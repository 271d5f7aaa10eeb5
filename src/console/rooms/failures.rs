//! What failed, by kind and error.

use http::StatusCode;

use super::super::pages::{Failures, Group, page_but};
use super::super::query::escaped;
use super::super::words::{count, plain, quoted, short};
use super::{GROUPS_MAX, Room, Shown, filter_of};
use crate::error::{Error, ErrorKind};
use crate::face::shape::FailureShape;
use crate::face::verbs::Look;

impl Room<'_> {
    pub(super) fn failures(&self) -> Shown {
        let filter = filter_of(self.asked.query.text("q"));
        let found: Result<Vec<FailureShape>, Error> = self.see(Look::Failures { filter: filter.clone() });
        let (found, wrong) = match found {
            Ok(found) => (found, String::new()),
            Err(e) if e.kind() == ErrorKind::Invalid => (Vec::new(), plain(&e.to_string())),
            Err(e) => return Err(e.into()),
        };
        let groups = found.iter().take(GROUPS_MAX).map(|group| {
            let alike = alike(group);
            let state = if group.dead > 0 { "dead" } else { "parked" };
            let retry = escaped(&format!("{alike} state:{state}"));
            let retry = format!("{}/confirm?do=retry&q={retry}", self.inner.base);
            Group {
                kind: short(&group.kind, 60),
                error: if group.error.is_empty() { "(no error text)".to_owned() } else { short(&group.error, 200) },
                dead: count(group.dead),
                parked: count(group.parked),
                retrying: count(group.retrying),
                last: group.last_id,
                link: self.jobs_link(&alike),
                retry: if group.dead + group.parked > 0 { retry } else { String::new() },
            }
        });
        let more = found.len().saturating_sub(GROUPS_MAX);
        let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
        page_but(
            status,
            &Failures {
                f: self.frame("/failures", "Failures"),
                groups: groups.collect(),
                more: if more == 0 { String::new() } else { count(u64::try_from(more).unwrap_or(u64::MAX)) },
                filter,
                wrong,
            },
        )
    }
}

/// The filter that comes nearest to a group: numbers stand as `#` there, so the longest piece between them is looked for.
fn alike(group: &FailureShape) -> String {
    let kind = format!("kind:{}", quoted(&group.kind));
    match group.error.split('#').map(str::trim).max_by_key(|piece| piece.len()) {
        Some(piece) if !piece.is_empty() => format!("{kind} error:{}", quoted(piece)),
        _ => kind,
    }
}
