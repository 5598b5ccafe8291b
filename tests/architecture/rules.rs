//! The rules: each looks at one source and says where it is broken, as `path:line: what`.

use std::fmt::Display;

use super::LAYERS;
use super::source::{Source, has_word, leading_identifier, numbered};

/// One breach of a rule, as editors and terminals like to jump to.
fn finding(source: &Source, line: usize, what: impl Display) -> String {
    format!("{}:{line}: {what}", source.path)
}

/// Words in the product outside the files, or directories ending in `/`, where they belong.
pub(crate) fn named_outside(source: &Source, words: &[&str], places: &[&str]) -> Vec<String> {
    let is_place = |place: &&str| {
        source.path == **place || place.ends_with('/') && source.path.starts_with(*place)
    };
    if places.iter().any(is_place) {
        return Vec::new();
    }
    let rule = if places.is_empty() {
        "nowhere".into()
    } else {
        format!("in {places:?} only")
    };
    let lines = source.product_lines();
    let named = lines.flat_map(|(line, code)| words.iter().map(move |word| (line, code, word)));
    named
        .filter(|(_, code, word)| has_word(code, word))
        .map(|(line, _, word)| finding(source, line, format_args!("`{word}` belongs {rule}")))
        .collect()
}

/// Imports of a layer that its row in [`LAYERS`] does not allow.
pub(crate) fn imports_against_layers(source: &Source) -> Vec<String> {
    let Some(layer) = layer_of(&source.path) else {
        return Vec::new();
    };
    let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![finding(
            source,
            1,
            format_args!("`{layer}` has no row in LAYERS"),
        )];
    };
    imports(source)
        .into_iter()
        .filter(|(_, module)| {
            *module != layer && !allowed.split(' ').any(|allowed| allowed == *module)
        })
        .map(|(line, module)| {
            finding(
                source,
                line,
                format_args!("`{layer}` may import [{allowed}], not `{module}`"),
            )
        })
        .collect()
}

/// The module of the crate that a file belongs to; none for the two roots.
fn layer_of(path: &str) -> Option<&str> {
    let path = path.strip_prefix("src/")?;
    let layer = path.split('/').next()?.trim_end_matches(".rs");
    (layer != "lib" && layer != "main").then_some(layer)
}

/// The top modules that the product's code names, each with the line where the path begins.
fn imports(source: &Source) -> Vec<(usize, &str)> {
    let module = source.path.trim_end_matches(".rs").trim_end_matches("/mod");
    let to_root = "super::".repeat(module.split('/').count() - 1);
    let code = &source.product;
    let mut imports = Vec::new();
    for root in ["crate::", &to_root] {
        for (start, _) in code.match_indices(root) {
            let is_begin =
                !code[..start].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c));
            let line = code[..start].matches('\n').count() + 1;
            if is_begin {
                let segments = first_segments(&code[start + root.len()..]).into_iter();
                // In a module inside the file `super::` leads to the file, so it counts only with a layer's name.
                let is_module = |name: &&str| {
                    root == "crate::" || LAYERS.iter().any(|(layer, _)| layer == name)
                };
                imports.extend(segments.filter(is_module).map(|segment| (line, segment)));
            }
        }
    }
    imports
}

/// What a path goes on with: one name, or those of a group in braces; a glob is the name `*`.
fn first_segments(path: &str) -> Vec<&str> {
    let Some(group) = path.strip_prefix('{') else {
        return vec![first_segment(path)];
    };
    let mut segments = Vec::new();
    let (mut depth, mut is_next) = (1, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => is_next = true,
            _ if c.is_whitespace() => {}
            _ if is_next => {
                segments.push(first_segment(&group[at..]));
                is_next = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    segments
}

/// One name, or the `*` of a glob.
fn first_segment(path: &str) -> &str {
    if path.starts_with('*') {
        "*"
    } else {
        leading_identifier(path)
    }
}

/// Strings below `server/` that begin with a slash: only endpoints know paths.
pub(crate) fn paths_named_by_server(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/server/") {
        return Vec::new();
    }
    let lines = numbered(&source.product).zip(source.text.lines());
    lines
        .filter(|((_, code), text)| {
            let mut pairs = code.chars().zip(text.chars().skip(1));
            pairs.any(|pair| pair == ('"', '/'))
        })
        .map(|((line, _), _)| finding(source, line, "a path, which only endpoints may know"))
        .collect()
}

/// A root of a crate that allows `unsafe`.
pub(crate) fn unsafe_not_forbidden(source: &Source) -> Vec<String> {
    let is_root = ["src/lib.rs", "src/main.rs"].contains(&source.path.as_str());
    if !is_root || source.code.contains("#![forbid(unsafe_code)]") {
        return Vec::new();
    }
    vec![finding(source, 1, "`#![forbid(unsafe_code)]` is missing")]
}

/// A file that does not begin with a line about itself.
pub(crate) fn without_first_line(source: &Source) -> Vec<String> {
    if source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![finding(source, 1, "does not begin with a `//!` line")]
}

/// A file of more than 350 lines of code; blank lines, comments and tests are not counted.
pub(crate) fn too_long(source: &Source) -> Vec<String> {
    const CODE_LINES_MAX: usize = 350;
    let first_too_many = source.product_lines().nth(CODE_LINES_MAX);
    first_too_many
        .map(|(line, _)| finding(source, line, "line of code number 351"))
        .into_iter()
        .collect()
}

/// Functions of more than 70 lines, of whatever kind; relies on the layout of rustfmt to find their ends.
pub(crate) fn too_long_functions(source: &Source) -> Vec<String> {
    const FUNCTION_LINES_MAX: usize = 70;
    let lines: Vec<_> = numbered(&source.product).collect();
    let mut findings = Vec::new();
    for (index, &(number, line)) in lines.iter().enumerate() {
        let is_open = has_word(line, "fn") && !line.ends_with([';', ',', '}']);
        if is_open {
            let indent = line.len() - line.trim_start().len();
            let is_end = |(_, later): &(usize, &str)| {
                let is_level = later.len() - later.trim_start().len() == indent;
                is_level && (later.trim_start().starts_with('}') || later.ends_with(';'))
            };
            let len = lines[index + 1..]
                .iter()
                .position(is_end)
                .map_or(0, |end| end + 2);
            if len > FUNCTION_LINES_MAX {
                findings.push(finding(
                    source,
                    number,
                    format_args!("a function of {len} lines"),
                ));
            }
        }
    }
    findings
}

/// Modules whose names say nothing about what is in them.
pub(crate) fn drawers(source: &Source) -> Vec<String> {
    let drawers = ["utils", "util", "helpers", "types", "prelude", "common"];
    let is_drawer = |name: &str| drawers.contains(&name);
    let mut findings = Vec::new();
    if !source.path.starts_with("src/") {
        return findings;
    }
    if let Some(name) = source.path.split(['/', '.']).find(|name| is_drawer(name)) {
        findings.push(finding(source, 1, format_args!("a module named `{name}`")));
    }
    for (line, code) in numbered(&source.code) {
        let declared = code
            .split_once("mod ")
            .map_or("", |(_, name)| leading_identifier(name));
        if is_drawer(declared) {
            findings.push(finding(
                source,
                line,
                format_args!("a module named `{declared}`"),
            ));
        }
    }
    findings
}

/// Macros that mark unfinished work, in tests too.
pub(crate) fn unfinished(source: &Source) -> Vec<String> {
    let marks = ["todo!", "unimplemented!", "dbg!"];
    let lines = numbered(&source.code);
    let marked = lines
        .filter_map(|(line, code)| Some((line, marks.iter().find(|mark| has_word(code, mark))?)));
    marked
        .map(|(line, mark)| finding(source, line, format_args!("`{mark}` is left")))
        .collect()
}

/// An exemption from a lint that does not say why it may be.
pub(crate) fn exempt_without_reason(source: &Source) -> Vec<String> {
    let attributes = ["#[allow(", "#[expect(", "#![allow(", "#![expect("];
    let mut findings = Vec::new();
    for (line, code) in numbered(&source.code) {
        let begins = attributes
            .iter()
            .any(|begin| code.trim_start().starts_with(begin));
        let rest = source.code.lines().skip(line - 1);
        let attribute: Vec<_> = rest.take_while(|code| !code.ends_with(")]")).collect();
        let has_reason =
            code.contains("reason =") || attribute.iter().any(|code| code.contains("reason ="));
        if begins && !has_reason {
            findings.push(finding(source, line, "an exemption without a reason"));
        }
    }
    findings
}

/// Tests that are switched off without a word.
pub(crate) fn ignored_without_reason(source: &Source) -> Vec<String> {
    let ignored = numbered(&source.code).filter(|(_, code)| code.contains("#[ignore]"));
    ignored
        .map(|(line, _)| finding(source, line, "`#[ignore]` without a reason"))
        .collect()
}

/// Tests that sleep, with no comment on that line or the one above it.
pub(crate) fn sleeps_without_reason(source: &Source) -> Vec<String> {
    let comments: Vec<_> = source
        .comments
        .lines()
        .map(|line| !line.trim().is_empty())
        .collect();
    let has_reason = |line: usize| comments[line.saturating_sub(2)..line].contains(&true);
    let lines = numbered(&source.code).zip(source.product.lines().chain(std::iter::repeat("")));
    lines
        .filter(|((_, code), product)| product.is_empty() && has_word(code, "sleep("))
        .filter(|((line, _), _)| !has_reason(*line))
        .map(|((line, _), _)| finding(source, line, "a test sleeps and does not say why"))
        .collect()
}

/// Each word is found, once and at its line, everywhere but in its places, in comments, literals and tests.
pub(crate) fn assert_confines(words: &[&str], places: &[&str]) {
    for word in words {
        let text = format!(
            "//! {word}\nconst A: &str = \"{word}\";\nuse {word} x;\n#[cfg(test)]\nmod tests {{\n    {word}\n}}\n"
        );
        let found = named_outside(&Source::new("src/elsewhere.rs", &text), words, places);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("src/elsewhere.rs:3: "), "{found:?}");
        for place in places {
            let path = if place.ends_with('/') {
                format!("{place}x/y.rs")
            } else {
                place.to_string()
            };
            assert_eq!(
                named_outside(&Source::new(&path, &text), words, places),
                [""; 0]
            );
        }
    }
}

/// The rules above on small sources, so that each is seen to find what it is for.
mod self_tests {
    use super::*;

    /// Lines where a rule finds something in a text.
    fn found(rule: impl Fn(&Source) -> Vec<String>, path: &str, text: &str) -> Vec<usize> {
        let findings = rule(&Source::new(path, text));
        findings
            .iter()
            .map(|finding| finding.split(':').nth(1).unwrap().parse().unwrap())
            .collect()
    }

    #[test]
    fn a_layer_imports_only_rows_above_its_own() {
        for (row, (layer, allowed)) in LAYERS.iter().enumerate() {
            for import in allowed.split_whitespace() {
                assert!(
                    LAYERS[..row].iter().any(|(above, _)| *above == import),
                    "{layer}: {import}"
                );
            }
        }
    }

    #[test]
    fn an_import_against_the_layers_is_found_however_it_is_written() {
        let rows = [
            ("src/proto/mask.rs", "//! x\nuse crate::http::Request;"),
            ("src/proto/mask.rs", "\nfn f() { crate::http::g(); }"),
            (
                "src/proto/mask.rs",
                "\nuse crate::{proto::{OpCode, http}, http::Request};",
            ),
            (
                "src/proto/mask.rs",
                "\nuse crate::{\n    proto,\n    server,\n};",
            ),
            ("src/proto/mask.rs", "\nuse super::super::http;"),
            ("src/proto/mod.rs", "\nuse super::http;"),
            ("src/registry.rs", "\nuse super::{delivery, proto};"),
            ("src/registry.rs", "\nuse crate::*;"),
            ("src/registry.rs", "\nuse crate::Server;"),
            ("src/server/mod.rs", "\nuse crate::endpoints::echo;"),
            ("src/endpoints/echo.rs", "\nuse crate::session::Session;"),
        ];
        for (path, text) in rows {
            assert_eq!(
                found(imports_against_layers, path, text),
                [2],
                "{path}: {text}"
            );
        }
        assert_eq!(
            found(imports_against_layers, "src/new.rs", "//! x"),
            [1],
            "a layer without a row"
        );
    }

    #[test]
    fn imports_down_the_layers_are_fine() {
        let rows = [
            (
                "src/proto/mask.rs",
                "use super::http;\nuse crate::proto::OpCode;",
            ),
            (
                "src/proto/mask.rs",
                "// use crate::http;\n#[cfg(test)]\nmod tests {\n    use crate::http;\n}",
            ),
            (
                "src/registry.rs",
                "use crate::delivery::{GroupName, SessionId};\npub(crate) fn http() {}",
            ),
            ("src/main.rs", "use crate::anything;"),
            ("tests/a.rs", "use crate::anything;"),
        ];
        for (path, text) in rows {
            assert_eq!(
                found(imports_against_layers, path, text),
                [0; 0],
                "{path}: {text}"
            );
        }
    }

    #[test]
    fn a_path_in_the_server_is_found() {
        let text = "// \"/a\"\nlet a = b / c;\nif path == \"/echo\" {}\nlet d = \"a/b\";\nr\"/e\";";
        assert_eq!(
            found(paths_named_by_server, "src/server/mod.rs", text),
            [3, 5]
        );
        assert_eq!(
            found(paths_named_by_server, "src/endpoints/mod.rs", text),
            [0; 0]
        );
    }

    #[test]
    fn a_root_that_allows_unsafe_is_found() {
        for (path, expected) in [
            ("src/lib.rs", &[1][..]),
            ("src/main.rs", &[1]),
            ("src/a.rs", &[]),
        ] {
            assert_eq!(
                found(unsafe_not_forbidden, path, "// #![forbid(unsafe_code)]"),
                expected
            );
            assert_eq!(
                found(unsafe_not_forbidden, path, "#![forbid(unsafe_code)]"),
                [0; 0]
            );
        }
    }

    #[test]
    fn a_file_that_says_nothing_about_itself_is_found() {
        assert_eq!(
            found(without_first_line, "tests/a.rs", "use b;\n//! c\n"),
            [1]
        );
        assert_eq!(
            found(without_first_line, "tests/a.rs", "//! c\nuse b;\n"),
            [0; 0]
        );
    }

    #[test]
    fn the_line_of_code_after_350_is_found() {
        let allowed = "//! x\n\na(\"\n\");\n".to_owned() + &"b();\n// c\n".repeat(348);
        let tests = "#[cfg(test)]\nmod tests {\n".to_owned() + &"    d();\n".repeat(400) + "}\n";
        assert_eq!(
            found(too_long, "src/a.rs", &(allowed.clone() + &tests)),
            [0; 0]
        );
        assert_eq!(
            found(too_long, "src/a.rs", &(allowed + "e();\n" + &tests)),
            [701]
        );
    }

    #[test]
    fn a_function_of_71_lines_is_found() {
        let function = |body_len| {
            format!(
                "impl A {{\n    pub fn b(\n        c: u8,\n    ) -> u8 {{\n{}    }}\n}}\n",
                "        d();\n".repeat(body_len)
            )
        };
        assert_eq!(found(too_long_functions, "src/a.rs", &function(66)), [0; 0]);
        assert_eq!(found(too_long_functions, "src/a.rs", &function(67)), [2]);
        let declared = "trait A {\n    fn b(\n        c: u8,\n    );\n".to_owned()
            + &"    fn d();\n".repeat(80)
            + "}\n";
        assert_eq!(found(too_long_functions, "src/a.rs", &declared), [0; 0]);
    }

    #[test]
    fn a_drawer_is_found() {
        assert_eq!(found(drawers, "src/proto/utils.rs", "//! x"), [1]);
        assert_eq!(found(drawers, "src/types/mod.rs", "//! x"), [1]);
        assert_eq!(
            found(drawers, "src/a.rs", "\npub(crate) mod helpers {"),
            [2]
        );
        assert_eq!(
            found(
                drawers,
                "src/a.rs",
                "mod prelude_of_a_frame;\n// mod types;\n"
            ),
            [0; 0]
        );
        assert_eq!(found(drawers, "tests/common/mod.rs", "//! x"), [0; 0]);
    }

    #[test]
    fn unfinished_work_is_found_in_tests_too() {
        for mark in ["todo!()", "unimplemented!(\"a\")", "dbg!(a)"] {
            let text = format!("\n#[cfg(test)]\nmod tests {{\n    {mark}\n}}\n");
            assert_eq!(found(unfinished, "src/a.rs", &text), [4]);
            assert_eq!(
                found(unfinished, "tests/a.rs", &format!("a();\n{mark}")),
                [2]
            );
            assert_eq!(found(unfinished, "src/a.rs", &format!("// {mark}")), [0; 0]);
        }
    }

    #[test]
    fn a_test_ignored_without_a_reason_is_found() {
        assert_eq!(
            found(
                ignored_without_reason,
                "tests/a.rs",
                "#[test]\n#[ignore]\nfn a() {}"
            ),
            [2]
        );
        assert_eq!(
            found(
                ignored_without_reason,
                "tests/a.rs",
                "#[ignore = \"slow\"]\nfn a() {}"
            ),
            [0; 0]
        );
    }

    #[test]
    fn an_exemption_without_a_reason_is_found() {
        for (attribute, expected) in [
            ("#[expect(a, reason = \"b\")]", &[][..]),
            ("#[expect(\n    a,\n    reason = \"b\"\n)]", &[]),
            ("#[allow(a)]", &[2]),
            ("#![allow(\n    a\n)]\n#[expect(b, reason = \"c\")]", &[2]),
        ] {
            let text = format!("\n{attribute}\nfn d() {{}}\n");
            assert_eq!(
                found(exempt_without_reason, "src/a.rs", &text),
                expected,
                "{attribute}"
            );
        }
    }

    #[test]
    fn a_test_that_sleeps_without_a_reason_is_found() {
        let text = "a(); // b\nc();\nthread::sleep(d);\n// why\nsleep(e);\nsleep(f); // why\n\nsleep(g);\n";
        assert_eq!(found(sleeps_without_reason, "tests/a.rs", text), [3, 8]);
        assert_eq!(
            found(sleeps_without_reason, "src/server/mod.rs", text),
            [0; 0]
        );
        let tests = "#[cfg(test)]\nmod tests {\n    sleep(a);\n}\n";
        assert_eq!(found(sleeps_without_reason, "src/a.rs", tests), [3]);
    }
}
