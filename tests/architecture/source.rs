//! Rust sources as the rules of the architecture see them: comments, literals and tests told apart from code.

use std::fs;
use std::path::Path;

/// One file, in views of equal shape: what does not belong to a view is blank there, so lines keep their numbers.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the package, with `/` between its parts.
    pub(crate) path: String,
    /// Everything.
    pub(crate) text: String,
    /// Without comments; of a literal only the opening quote is left, then `_` up to its end.
    pub(crate) code: String,
    /// Comments only.
    pub(crate) comments: String,
    /// Code that is part of the product: nothing below a directory of tests, nothing in a module under `cfg(test)`.
    pub(crate) product: String,
}

impl Source {
    /// Reads every `.rs` file below some directories of the package; those that do not exist have none.
    pub(crate) fn read_all(directories: &[&str]) -> Vec<Self> {
        let mut sources = Vec::new();
        for directory in directories {
            read_below(directory, &mut sources);
        }
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        sources
    }

    /// Takes a text apart as if it had been read from `path`.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (code, comments) = split_comments(text);
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        let is_product = path.starts_with("src/") && !is_test;
        let product = if is_product {
            without_tests(&code)
        } else {
            String::new()
        };
        Self {
            path: path.into(),
            text: text.into(),
            code,
            comments,
            product,
        }
    }

    /// The product's lines that are not blank, with their numbers.
    pub(crate) fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.product).filter(|(_, line)| !line.trim().is_empty())
    }
}

/// The lines of a text, counted from one as editors do.
pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
}

/// Whether a word occurs in code, not as a part of a longer one.
pub(crate) fn has_word(code: &str, word: &str) -> bool {
    let is_cut = |a: Option<char>, b: Option<char>| {
        !(a.is_some_and(is_identifier) && b.is_some_and(is_identifier))
    };
    code.match_indices(word).any(|(start, _)| {
        let (before, after) = (&code[..start], &code[start + word.len()..]);
        is_cut(before.chars().next_back(), word.chars().next())
            && is_cut(word.chars().next_back(), after.chars().next())
    })
}

/// The identifier that a text begins with, perhaps an empty one.
pub(crate) fn leading_identifier(text: &str) -> &str {
    &text[..text.find(|c| !is_identifier(c)).unwrap_or(text.len())]
}

fn is_identifier(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn read_below(directory: &str, sources: &mut Vec<Source>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(entries) = fs::read_dir(root.join(directory)) else {
        return;
    };
    for entry in entries {
        let entry = entry.unwrap();
        let path = format!("{directory}/{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            // What a build of a package below the directory has left is not ours.
            if !path.ends_with("/target") {
                read_below(&path, sources);
            }
        } else if path.ends_with(".rs") {
            sources.push(Source::new(
                &path,
                &fs::read_to_string(entry.path()).unwrap(),
            ));
        }
    }
}

/// Blanks every module under `cfg(test)`; relies on the layout of rustfmt to find its end.
fn without_tests(code: &str) -> String {
    let mut product = String::new();
    let mut lines = code.lines();
    let mut held_back: Vec<&str> = Vec::new();
    while let Some(line) = lines.next() {
        let is_attribute = line.trim_start().starts_with("#[");
        if line.trim() == "#[cfg(test)]" || !held_back.is_empty() && is_attribute {
            held_back.push(line);
            continue;
        }
        if !held_back.is_empty() && has_word(line, "mod") {
            let indent = &line[..line.len() - line.trim_start().len()];
            let is_end = |line: &str| line.strip_prefix(indent) == Some("}");
            let has_body = line.ends_with('{');
            let rest = lines.clone().position(is_end).map_or(0, |end| end + 1);
            let blank_count = held_back.drain(..).count() + 1 + if has_body { rest } else { 0 };
            product.push_str(&"\n".repeat(blank_count));
            if has_body {
                lines.nth(rest.saturating_sub(1));
            }
            continue;
        }
        for line in held_back.drain(..).chain([line]) {
            product.push_str(line);
            product.push('\n');
        }
    }
    product
}

/// What a piece of a source is.
#[derive(Clone, Copy, PartialEq)]
enum Token {
    Code,
    Comment,
    Literal,
}

/// Splits a source into code and comments, each blank where the other is.
fn split_comments(text: &str) -> (String, String) {
    let (mut code, mut comments) = (String::new(), String::new());
    let mut rest = text;
    while !rest.is_empty() {
        let (token, len) = next_token(rest);
        let (piece, after) = rest.split_at(len);
        rest = after;
        let quote = piece.find('"').filter(|_| token == Token::Literal);
        for (at, c) in piece.char_indices() {
            let (in_code, in_comments) = match token {
                _ if c == '\n' => (c, c),
                Token::Code => (c, ' '),
                Token::Comment => (' ', c),
                Token::Literal => (if quote == Some(at) { '"' } else { '_' }, ' '),
            };
            code.push(in_code);
            comments.push(in_comments);
        }
    }
    (code, comments)
}

/// What a text that is not empty begins with, and the length of that in bytes.
fn next_token(text: &str) -> (Token, usize) {
    let mut chars = text.chars();
    let first = chars.next().expect("callers stop at the end");
    if text.starts_with("//") {
        return (Token::Comment, text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return (Token::Comment, block_comment_len(text));
    }
    if let Some(len) = raw_string_len(text) {
        return (Token::Literal, len);
    }
    let is_escape = chars.next() == Some('\\');
    if first == '"' || first == '\'' && (is_escape || chars.next() == Some('\'')) {
        return (Token::Literal, quoted_len(text, first));
    }
    (
        Token::Code,
        leading_identifier(text).len().max(first.len_utf8()),
    )
}

/// Block comments nest.
fn block_comment_len(text: &str) -> usize {
    let mut depth = 0;
    for at in 0..text.len() {
        match text.as_bytes()[at..] {
            [b'/', b'*', ..] => depth += 1,
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a raw string, if the text begins with one.
fn raw_string_len(text: &str) -> Option<usize> {
    let after = ["r", "br", "cr"].iter().find_map(|prefix| {
        text.strip_prefix(prefix)
            .filter(|after| after.starts_with(['"', '#']))
    })?;
    let body = after.trim_start_matches('#');
    let hash_count = after.len() - body.len();
    let body = body.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hash_count));
    let rest_len = body.find(&end).map_or(0, |at| body.len() - at - end.len());
    Some(text.len() - rest_len)
}

/// The length of a literal with escapes, both quotes included.
fn quoted_len(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The readers above, on small sources.
mod self_tests {
    use super::{Source, has_word};

    fn code_of(text: &str) -> String {
        Source::new("src/a.rs", text).code
    }

    #[test]
    fn comments_are_no_code() {
        assert_eq!(code_of("a // b\nc"), "a     \nc");
        assert_eq!(code_of("a /* b /* c */ d */ e"), "a                   e");
        assert_eq!(code_of("/** b\n c */ d"), "     \n      d");
        assert_eq!(Source::new("src/a.rs", "a // b\nc").comments, "  // b\n ");
    }

    #[test]
    fn of_literals_only_the_opening_quote_is_code() {
        assert_eq!(code_of(r#"f("a // b", c)"#), r#"f("_______, c)"#);
        assert_eq!(code_of(r#""\"" b"#), r#""___ b"#);
        assert_eq!(code_of(r##"r#"a"b"# c"##), r#"__"_____ c"#);
        assert_eq!(code_of(r#"br"\" c"#), r#"__"__ c"#);
        assert_eq!(code_of(r#"b"a" c"#), r#"b"__ c"#);
        assert_eq!(code_of(r"'a' '\'' '\n' b'\\' c"), "___ ____ ____ b____ c");
        assert_eq!(code_of("'\"' \"'\" a"), "_\"_ \"__ a");
    }

    #[test]
    fn lifetimes_and_raw_identifiers_are_code() {
        for text in [
            "fn f<'a>(x: &'a u8, y: &'_ u8)",
            "r#type + br + r",
            "'outer: loop { break 'outer; }",
        ] {
            assert_eq!(code_of(text), text);
        }
    }

    #[test]
    fn test_modules_are_not_part_of_the_product() {
        let source = Source::new(
            "src/a.rs",
            "a();\n#[cfg(test)]\n#[allow(x)]\nmod naive {\n    fn b() {\n    }\n}\nc();\n#[cfg(test)]\nmod tests;\nd();\n",
        );
        assert_eq!(source.product, "a();\n\n\n\n\n\n\nc();\n\n\nd();\n");
    }

    #[test]
    fn other_items_under_cfg_test_are_counted_with_the_product() {
        let text = "#[cfg(test)]\nfn a() {\n}\nb();\n";
        assert_eq!(Source::new("src/a.rs", text).product, text);
    }

    #[test]
    fn files_of_tests_are_not_part_of_the_product() {
        for path in [
            "tests/a.rs",
            "benches/a.rs",
            "fuzz/oracles/a.rs",
            "src/proto/tests.rs",
            "src/proto/tests/a.rs",
        ] {
            assert_eq!(Source::new(path, "a();\n").product, "");
        }
    }

    #[test]
    fn a_word_is_not_found_inside_another() {
        assert!(has_word("use mio::Poll;", "mio"));
        assert!(!has_word("use signal_hook_mio::v1_0;", "mio"));
        assert!(!has_word("premium(mio2)", "mio"));
        assert!(has_word("let a = start.elapsed();", ".elapsed("));
        assert!(!has_word("Instant::nowhere()", "Instant::now"));
    }
}
