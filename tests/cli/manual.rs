//! The completions of shells and the manual page know every verb.

use crate::{folder, run};

const VERBS: [&str; 5] = ["run", "submit", "nodes", "media-driver", "completions"];

#[test]
fn completions_and_the_manual_page_have_every_verb() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(folder.path(), &["completions", shell]);
        assert_eq!(script.code, Some(0), "{}", script.err);
        for verb in VERBS {
            assert!(script.out.contains(verb), "{shell}: no {verb}");
        }
    }
    let page = run(folder.path(), &["man"]);
    assert_eq!(page.code, Some(0), "{}", page.err);
    assert!(page.out.contains(".TH onyx-node 1"), "{}", page.out);
    for verb in VERBS {
        let verb = verb.replace('-', "\\-");
        assert!(page.out.contains(&verb), "no {verb}");
    }
}
