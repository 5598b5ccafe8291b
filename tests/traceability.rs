//! Every requirement has a test or a reason, and every test that names a requirement names one that exists.
//!
//! The requirements are in `tests/traceability/rows.txt`. A test belongs to those whose ids its name begins with:
//! `hs_04_hs_05_both_lists_must_ask_for_it`. What is left out on purpose stands in a table of the README.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

#[test]
fn every_row_has_a_test_or_a_reason() {
    let rows = all_rows();
    let tested = tested_rows();
    let left_out = left_out();
    let mut findings = Vec::new();
    for row in &rows {
        match (tested.contains_key(row), left_out.contains(row)) {
            (true, true) => findings.push(format!(
                "{row}: the README leaves it out, yet it has a test"
            )),
            (false, false) => {
                findings.push(format!("{row}: neither a test nor a reason in the README"));
            }
            _ => {}
        }
    }
    for row in left_out.difference(&rows) {
        findings.push(format!("{row}: in the README, but no such row exists"));
    }
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn no_test_names_a_row_that_does_not_exist() {
    let rows = all_rows();
    let unknown: Vec<_> = tested_rows()
        .into_iter()
        .filter(|(row, _)| !rows.contains(row))
        .map(|(row, places)| format!("{row}: {}", places.join(", ")))
        .collect();
    assert!(unknown.is_empty(), "\n{}\n", unknown.join("\n"));
}

/// The ids in the list of requirements.
fn all_rows() -> BTreeSet<String> {
    let mut rows = BTreeSet::new();
    for line in read("tests/traceability/rows.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let [row, level, words] = line
            .splitn(3, ' ')
            .collect::<Vec<_>>()
            .try_into()
            .unwrap_or_else(|_| panic!("id, level, words: {line}"));
        assert!(
            row_ids(&row.to_ascii_lowercase()).eq([row.to_owned()])
                && ["M", "M+", "S", "S+"].contains(&level)
                && !words.trim().is_empty(),
            "id, level, words: {line}"
        );
        assert!(rows.insert(row.to_owned()), "twice: {line}");
    }
    rows
}

/// The rows that tests name, each with the tests.
fn tested_rows() -> BTreeMap<String, Vec<String>> {
    let mut tested: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for directory in ["src", "tests", "fuzz/oracles"] {
        visit(Path::new(directory), &mut |path, text| {
            for name in tests_in(text) {
                for row in row_ids(name) {
                    let place = format!("{}: {name}", path.display());
                    tested.entry(row).or_default().push(place);
                }
            }
        });
    }
    tested
}

/// The names of the functions under `#[test]`.
fn tests_in(text: &str) -> impl Iterator<Item = &str> {
    let mut is_test = false;
    text.lines().map(str::trim).filter_map(move |line| {
        if line == "#[test]" {
            is_test = true;
        }
        let signature = line.strip_prefix("fn ")?;
        let name = signature.split(['(', '<']).next()?;
        std::mem::take(&mut is_test).then_some(name)
    })
}

/// The ids that a test's name begins with: two letters, two digits, each followed by an underscore or the end.
fn row_ids(mut name: &str) -> impl Iterator<Item = String> {
    std::iter::from_fn(move || {
        let is_id = name.len() >= 5
            && name
                .bytes()
                .take(5)
                .zip(*b"aa_00")
                .all(|(byte, form)| match form {
                    b'a' => byte.is_ascii_lowercase(),
                    b'0' => byte.is_ascii_digit(),
                    _ => byte == b'_' || byte == b'-',
                });
        if !is_id || !name[5..].is_empty() && !name[5..].starts_with('_') {
            return None;
        }
        let id = name[..5].replace('_', "-").to_ascii_uppercase();
        name = name[5..].trim_start_matches('_');
        Some(id)
    })
}

/// The rows of the README's table of what is left out: `| EX-02 … EX-10 | why |`.
fn left_out() -> BTreeSet<String> {
    let readme = read("README.md");
    let (_, section) = readme
        .split_once("\n### What is left out\n")
        .expect("the README has a section for what is left out");
    let mut rows = BTreeSet::new();
    for line in section.lines().skip_while(|line| !line.starts_with('|')) {
        let Some(cells) = line.strip_prefix('|') else {
            break;
        };
        let (ids, reason) = cells.split_once('|').expect("a row and its reason");
        let ids = ids.to_ascii_lowercase();
        let mut ends = ids.split('…').flat_map(|id| row_ids(id.trim()));
        let Some(first) = ends.next() else {
            continue;
        };
        assert!(
            !reason.trim_matches(['|', ' ']).is_empty(),
            "no reason: {line}"
        );
        let last = ends.next().unwrap_or_else(|| first.clone());
        assert_eq!(first[..2], last[..2], "a range within one group: {line}");
        let number = |id: &str| id[3..].parse::<u8>().expect("two digits");
        for number in number(&first)..=number(&last) {
            rows.insert(format!("{}-{number:02}", &first[..2]));
        }
    }
    rows
}

/// Calls `with` for each Rust source below a directory of the package.
fn visit(directory: &Path, with: &mut impl FnMut(&Path, &str)) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(root.join(directory)).unwrap() {
        let entry = entry.unwrap();
        let path = directory.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            visit(&path, with);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            with(&path, &fs::read_to_string(entry.path()).unwrap());
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The readers above, on small texts.
mod self_tests {
    use super::{row_ids, tests_in};

    #[test]
    fn a_name_begins_with_any_number_of_ids() {
        let ids = |name| row_ids(name).collect::<Vec<_>>();
        assert_eq!(ids("hs_04_hs_05_both"), ["HS-04", "HS-05"]);
        assert_eq!(ids("hs_04"), ["HS-04"]);
        for name in ["", "hs_4_a", "all_04_b", "hs_045", "a_hs_04_b", "hs_é"] {
            assert_eq!(ids(name), [""; 0], "{name}");
        }
    }

    #[test]
    fn only_functions_under_the_attribute_are_tests() {
        let text = "#[test]\n#[ignore = \"b\"]\nfn a() {}\nfn c() {}\n    #[test]\n    fn d(e in f()) {}\n// #[test]\nfn g() {}\n";
        assert_eq!(tests_in(text).collect::<Vec<_>>(), ["a", "d"]);
    }
}
