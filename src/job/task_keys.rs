//! The keys that every task has, set by name: what [`Task::with`] does with them.

use super::max_rejected::MaxRejected;
use super::percent::Percent;
use super::{FluxPolicy, Task};
use crate::segment::Value;
use std::num::NonZeroU32;

/// Sets a key that every task has. Whether there is one of that name that takes the value.
pub(super) fn set(task: &mut Task, key: &str, value: &Value) -> bool {
    let number = || {
        let number = value.as_int().and_then(|n| u32::try_from(n).ok());
        number.and_then(NonZeroU32::new)
    };
    let text = || value.as_str().map(String::from);
    let set = match key {
        "fn" => text().map(|name| task.function = Some(name)),
        "plugin" => text().map(|name| task.plugin = Some(name)),
        "dead-letter" => text().map(|path| task.dead_letter = Some(path)),
        "batch-size" => number().map(|n| task.batch_size = n),
        "batch-timeout-ms" => number().map(|n| task.batch_timeout_ms = n),
        "min-peers" => number().map(|n| task.min_peers = n),
        "max-peers" => number().map(|n| task.max_peers = Some(n)),
        "n-peers" => number().map(|n| (task.min_peers, task.max_peers) = (n, Some(n))),
        "pending-timeout-ms" => number().map(|n| task.pending_timeout_ms = n),
        "input-retry-timeout-ms" => number().map(|n| task.input_retry_timeout_ms = n),
        "max-pending" => number().map(|n| task.max_pending = n),
        "max-pending-bytes" => number().map(|n| task.max_pending_bytes = n),
        "max-retries" => number().map(|n| task.max_retries = n),
        "max-rejected" => max_rejected(value).map(|limit| task.max_rejected = Some(limit)),
        "percentage" => {
            let share = value.as_float().and_then(Percent::new);
            share.map(|share| task.percentage = Some(share))
        }
        "flux-policy" => {
            let mut policies = FluxPolicy::ALL.into_iter();
            let policy = policies.find(|policy| value.as_str() == Some(policy.as_str()));
            policy.map(|policy| task.flux_policy = Some(policy))
        }
        "required-tags" => tags(value).map(|tags| task.required_tags = tags),
        _ => None,
    };
    set.is_some()
}

fn max_rejected(value: &Value) -> Option<MaxRejected> {
    match value {
        Value::Int(n) => n.to_string().parse().ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn tags<T: FromIterator<String>>(value: &Value) -> Option<T> {
    let tags = match value {
        Value::List(tags) => tags.as_slice(),
        one => std::slice::from_ref(one),
    };
    tags.iter()
        .map(|tag| tag.as_str().map(String::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_a_task_can_be_set_by_name() {
        for key in Task::KEYS {
            let value: Value = match key {
                "name" | "type" => continue,
                "fn" | "plugin" | "dead-letter" | "required-tags" => "x".into(),
                "flux-policy" => "kill".into(),
                "max-rejected" => "5%".into(),
                _ => 7_i64.into(),
            };
            let task = Task::input("in", "file/lines").with(key, value);
            assert!(task.params.is_empty(), "{key}");
            assert_ne!(task, Task::input("in", "file/lines"), "{key}");
        }
    }

    #[test]
    fn a_value_that_a_key_does_not_take_is_left_for_validation_to_report() {
        for (key, value) in [
            ("n-peers", Value::from("two")),
            ("n-peers", Value::from(0_i64)),
            ("max-rejected", Value::from("x")),
            ("flux-policy", Value::from("x")),
        ] {
            let task = Task::input("in", "file/lines").with(key, value.clone());
            assert_eq!(task.params.get(key), Some(&value));
        }
    }
}
