//! What a person sees of what a program writes to a terminal: as much of one as editors of lines use.

/// The text of a terminal and the place of its cursor.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
    /// Bytes of a character or an escape sequence that is not complete.
    unread: Vec<u8>,
}

impl Picture {
    /// The rows down to the last one that has something on it, without blanks at their ends.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = self.rows.iter().map(|row| row.iter().collect::<String>());
        let mut lines: Vec<_> = lines.map(|line| line.trim_end().to_owned()).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// Does what a terminal does with these bytes.
    pub(crate) fn draw(&mut self, bytes: &[u8]) {
        self.unread.extend(bytes);
        let valid_len = match std::str::from_utf8(&self.unread) {
            Ok(text) => text.len(),
            Err(error) => error.valid_up_to(),
        };
        let rest = self.unread.split_off(valid_len);
        let text = String::from_utf8(std::mem::replace(&mut self.unread, rest)).unwrap();
        let mut left = text.as_str();
        while let Some(c) = left.chars().next() {
            if c != '\x1b' {
                self.draw_char(c);
                left = &left[c.len_utf8()..];
                continue;
            }
            let Some(len) = sequence_len(left) else {
                self.unread.splice(0..0, left.bytes());
                return;
            };
            self.obey(&left[..len]);
            left = &left[len..];
        }
    }

    fn draw_char(&mut self, c: char) {
        match c {
            '\r' => self.column = 0,
            '\n' => self.row += 1,
            '\x08' => self.column = self.column.saturating_sub(1),
            '\x07' => {}
            c if c.is_control() => panic!("a terminal might obey {c:?}"),
            c => {
                let row = self.current_row();
                let column = row.1;
                row.0.resize(row.0.len().max(column + 1), ' ');
                row.0[column] = c;
                self.column += 1;
            }
        }
    }

    /// The row of the cursor, and its column.
    fn current_row(&mut self) -> (&mut Vec<char>, usize) {
        if self.rows.len() <= self.row {
            self.rows.resize(self.row + 1, Vec::new());
        }
        (&mut self.rows[self.row], self.column)
    }

    /// Does what an escape sequence says.
    fn obey(&mut self, sequence: &str) {
        let body = sequence.strip_prefix("\x1b[");
        let body = body.unwrap_or_else(|| panic!("an unknown sequence {sequence:?}"));
        let (parameter, command) = body.split_at(body.len() - 1);
        let count = parameter.parse().unwrap_or(1);
        match (command, parameter) {
            ("A", _) => self.row = self.row.saturating_sub(count),
            ("B", _) => self.row += count,
            ("C", _) => self.column += count,
            ("D", _) => self.column = self.column.saturating_sub(count),
            ("K", "" | "0") => {
                let (row, column) = self.current_row();
                row.truncate(column);
            }
            ("K", "2") => self.current_row().0.clear(),
            ("J", "" | "0") => {
                let (row, column) = self.current_row();
                row.truncate(column);
                let end = self.row + 1;
                self.rows.truncate(end);
            }
            ("m", _) | ("h" | "l", "?2004" | "?2026" | "?25") => {}
            _ => panic!("an unknown sequence {sequence:?}"),
        }
    }
}

/// Bytes of the sequence at the beginning of `text`; `None` if it is not complete.
fn sequence_len(text: &str) -> Option<usize> {
    let body = text.get(2..)?;
    if text.as_bytes()[1] != b'[' {
        return Some(2);
    }
    let end = body.find(|c: char| ('\x40'..='\x7e').contains(&c))?;
    Some(2 + end + 1)
}
