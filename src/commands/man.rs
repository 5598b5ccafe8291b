//! `switchboard man`: the manual, made of the same definitions as the help.

use std::io::{self, Write};

use clap::{Args, Command};
use clap_mangen::Man as Page;

use super::{Failure, write_out};

/// Writes the manual of all commands as a page for man.
#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = "\
Examples:
  switchboard man | man -l -
  switchboard man > ~/.local/share/man/man1/switchboard.1")]
pub(super) struct Man {}

impl Man {
    /// Writes the page to standard output.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(super) fn run(self, definition: Command) -> Result<(), Failure> {
        let page = page(definition).map_err(|error| Failure::Runtime(error.to_string()))?;
        write_out(&page)
    }
}

/// All commands on one page, each in a section of its own.
fn page(mut definition: Command) -> io::Result<Vec<u8>> {
    definition = definition.disable_help_subcommand(true);
    definition.build();
    let whole = Page::new(definition.clone()).manual("User commands");
    let mut out = Vec::new();
    whole.render_title(&mut out)?;
    whole.render_name_section(&mut out)?;
    whole.render_synopsis_section(&mut out)?;
    whole.render_description_section(&mut out)?;
    write_notes(&definition, &mut out)?;
    for command in definition.get_subcommands() {
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
        writeln!(out, ".SH {}", name.to_uppercase())?;
        let part = Page::new(command.clone());
        let mut sections = Vec::new();
        part.render_synopsis_section(&mut sections)?;
        part.render_description_section(&mut sections)?;
        part.render_options_section(&mut sections)?;
        // What is a section on a page of its own is a part of one here.
        let sections = String::from_utf8_lossy(&sections).replace("\n.SH ", "\n.SS ");
        out.extend_from_slice(sections.as_bytes());
        write_notes(command, &mut out)?;
    }
    Ok(out)
}

/// Writes what stands behind the flags in the help of a command: its examples line by line, the rest as text.
fn write_notes(command: &Command, out: &mut Vec<u8>) -> io::Result<()> {
    let Some(notes) = command.get_after_help() else {
        return Ok(());
    };
    for line in notes.to_string().lines() {
        let text = escaped(line.trim());
        match line.split_once(':') {
            _ if line.is_empty() => continue,
            Some((title, "")) => writeln!(out, ".SS {}", escaped(title))?,
            _ if line.starts_with(' ') => writeln!(out, ".nf\n{text}\n.fi")?,
            _ => writeln!(out, ".PP\n{text}")?,
        }
    }
    Ok(())
}

/// A line of text in which man finds nothing to obey.
fn escaped(text: &str) -> String {
    let text = text
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq");
    if text.starts_with('.') {
        format!("\\&{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::CommandLine;
    use super::*;

    #[test]
    fn the_page_has_every_command_every_flag_and_every_example() {
        let definition = CommandLine::definition();
        let page = String::from_utf8(page(definition.clone()).unwrap()).unwrap();
        for command in definition.get_subcommands() {
            let heading = format!(".SH SWITCHBOARD {}\n", command.get_name().to_uppercase());
            let begin = page.find(&heading).unwrap_or_else(|| panic!("{heading}"));
            let section = &page[begin + heading.len()..];
            let section = &section[..section.find("\n.SH ").unwrap_or(section.len())];
            for argument in command.get_arguments() {
                let name = match (argument.get_long(), argument.get_value_names()) {
                    (Some(long), _) => format!("\\-\\-{}", long.replace('-', "\\-")),
                    (None, names) => names.unwrap()[0].to_string(),
                };
                assert!(section.contains(&name), "{name} in {section}");
            }
            for line in command.get_after_help().unwrap().to_string().lines() {
                assert!(
                    section.contains(&escaped(line.trim().trim_end_matches(':'))),
                    "{line}"
                );
            }
        }
    }

    #[test]
    fn nothing_in_a_text_is_an_order_to_man() {
        assert_eq!(escaped(".so a\\b 'c'-"), "\\&.so a\\eb \\(aqc\\(aq\\-");
    }
}
