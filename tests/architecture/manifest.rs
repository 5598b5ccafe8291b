//! The rules for `Cargo.toml` and `Cargo.lock`: few dependencies, each with a reason, and builds that keep their checks.

/// Dependencies without a comment of their own that says what they are for, and versions that are not pinned to a
/// range; `line: what`.
pub(crate) fn unjustified_dependencies(manifest: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let (mut is_among_dependencies, mut before) = (false, "");
    for (index, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            is_among_dependencies = line.ends_with("dependencies]");
        } else if is_among_dependencies && let Some((name, version)) = line.split_once(" = ") {
            let mut complain = |what| findings.push(format!("{}: {name} {what}", index + 1));
            if !before.starts_with("# ") {
                complain("does not say what it is for");
            }
            if ["git =", "path =", "\"*\""]
                .iter()
                .any(|source| version.contains(source))
            {
                complain("is not a version of the public registry");
            }
        }
        before = line;
    }
    findings
}

/// The names of the packages in a lock file that are neither this one nor from the public registry with a checksum.
pub(crate) fn unpinned_packages(lock: &str) -> Vec<&str> {
    lock.split("[[package]]")
        .skip(1)
        .filter(|package| {
            let value = |key: &str| {
                package
                    .lines()
                    .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))
            };
            let is_pinned = value("source")
                .is_some_and(|source| source.starts_with("registry+https://github.com/"))
                && value("checksum").is_some();
            !is_pinned && value("name") != Some("switchboard\"")
        })
        .collect()
}

/// Whether a line stands in a section of a manifest.
pub(crate) fn has_setting(manifest: &str, section: &str, setting: &str) -> bool {
    manifest
        .lines()
        .skip_while(|line| *line != section)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .any(|line| line == setting)
}

/// The rules above, on small texts.
mod self_tests {
    use super::{has_setting, unjustified_dependencies, unpinned_packages};

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let text = "[package]\nname = \"a\"\n[dependencies]\n# Why.\nb = \"1\"\nc = \"1\"\n\n[dev-dependencies]\n# Why.\nd = \"*\"\n# Why.\ne = { git = \"f\" }\n[[bench]]\nname = \"g\"\n";
        assert_eq!(
            unjustified_dependencies(text),
            [
                "6: c does not say what it is for",
                "10: d is not a version of the public registry",
                "12: e is not a version of the public registry"
            ]
        );
    }

    #[test]
    fn a_package_from_elsewhere_is_found() {
        let good = "[[package]]\nname = \"a\"\nsource = \"registry+https://github.com/b\"\nchecksum = \"c\"\n";
        assert_eq!(unpinned_packages(&format!("version = 4\n{good}")), [""; 0]);
        for bad in [
            good.replace("registry", "git"),
            good.replace("checksum", "sum"),
        ] {
            assert_eq!(unpinned_packages(&format!("{good}{bad}")).len(), 1, "{bad}");
        }
    }

    #[test]
    fn a_setting_counts_in_its_section_only() {
        let text = "[a]\nb = 1\n\n[c]\nd = 2\n";
        assert!(has_setting(text, "[a]", "b = 1") && has_setting(text, "[c]", "d = 2"));
        assert!(!has_setting(text, "[a]", "d = 2") && !has_setting(text, "[c]", "b = 1"));
    }
}
