//! Rules about time-outs.

use super::Review;
use crate::job::TaskKind;

pub(super) fn check(review: &mut Review<'_>) {
    for (place, task) in review.tasks() {
        if task.kind != TaskKind::Input {
            continue;
        }
        let (pending, retry) = (
            task.pending_timeout_ms.get(),
            task.input_retry_timeout_ms.get(),
        );
        if !pending.is_multiple_of(retry) {
            // Downwards, since upwards could be more than can be written.
            let possible = (pending / retry).max(1) * retry;
            let message = format!(
                "{pending} is not a multiple of `input-retry-timeout-ms`, which is {retry}; \
                 {possible} would be"
            );
            review.report(place.key("pending-timeout-ms"), message);
        }
    }
}
