//! Rules about flux policies.

use super::Review;
use crate::job::FluxPolicy;

pub(super) fn check(review: &mut Review<'_>) {
    for (place, task) in review.tasks() {
        let is_fixed = task.max_peers == Some(task.min_peers);
        if task.flux_policy == Some(FluxPolicy::Recover) && !is_fixed {
            let max = task
                .max_peers
                .map_or("not limited".into(), |max| max.to_string());
            let message = format!(
                "`recover` replaces peers one for one, so their number is fixed; `min-peers` is {} \
                 and `max-peers` is {max}: write `n-peers: {}`",
                task.min_peers, task.min_peers
            );
            review.report(place.key("flux-policy"), message);
        }
    }
}
