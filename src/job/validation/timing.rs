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
            let message = format!(
                "{pending} is not a multiple of `input-retry-timeout-ms`, which is {retry}; \
                 {} would be",
                pending.next_multiple_of(retry)
            );
            review.report(place.key("pending-timeout-ms"), message);
        }
    }
}
