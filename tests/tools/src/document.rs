//! A tutorial whose commands are run as they stand.
//!
//! Blocks fenced as `console` are run, in their order, in one folder. In them, a line that begins with
//! `$ ` is a command (it goes on where a line ends in `\`), and the lines behind it are what it must
//! print, standard error included: in this order, each somewhere below the one before it. `…` stands for
//! anything within a line, and as a line alone for any lines. A command behind which `# exit status 1`
//! stands must end so; every other one must succeed. Blocks with another fence are not run, except that
//! one fenced as `toml`, `rust` or `text` directly below a line `<!-- file: NAME -->` is written to that
//! file, and below `<!-- append: NAME -->` is written behind it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

/// A document in Markdown.
#[derive(Debug)]
pub struct Document {
    path: PathBuf,
    steps: Vec<Step>,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Run {
        line: usize,
        command: String,
        status: i32,
        expected: Vec<String>,
    },
    Write {
        file: String,
        append: bool,
        text: String,
    },
}

impl Document {
    /// Reads the document at `path`.
    ///
    /// # Errors
    /// It cannot be read, or a block is not as it should be.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let steps = parse(&text).with_context(|| path.display().to_string())?;
        let path = path.into();
        Ok(Self { path, steps })
    }

    /// Does in `folder` what the document says, with the program `bistable` in the search path and
    /// `variables` in the environment. Returns the number of commands that were run.
    ///
    /// # Errors
    /// The first command that ends, or prints, otherwise than the document says.
    pub fn follow(
        &self,
        folder: &Path,
        bistable: &Path,
        variables: &[(&str, &str)],
    ) -> Result<usize> {
        let mut commands = 0;
        for step in &self.steps {
            match step {
                Step::Write { file, append, text } => {
                    let path = folder.join(file);
                    let mut options = OpenOptions::new();
                    options.create(true).append(*append);
                    options.write(true).truncate(!*append);
                    let file = options.open(&path);
                    file.and_then(|mut file| file.write_all(text.as_bytes()))
                        .with_context(|| path.display().to_string())?;
                }
                Step::Run { .. } => {
                    commands += 1;
                    step.run(folder, bistable, variables)
                        .with_context(|| self.path.display().to_string())?;
                }
            }
        }
        ensure!(commands > 0, "{} has no commands", self.path.display());
        Ok(commands)
    }
}

impl Step {
    fn run(&self, folder: &Path, bistable: &Path, variables: &[(&str, &str)]) -> Result<()> {
        let Self::Run {
            line,
            command,
            status,
            expected,
        } = self
        else {
            return Ok(());
        };
        let mut search = bistable.parent().unwrap_or(bistable).as_os_str().to_owned();
        search.push(":");
        search.push(std::env::var_os("PATH").unwrap_or_default());
        // One stream, so that what is printed stays in order.
        let script = format!("exec 2>&1\n{command}\n");
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(folder)
            .env("PATH", search)
            .envs(variables.iter().copied())
            // What cargo sets for its tests is not what a reader's shell has.
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("CARGO_MANIFEST_DIR")
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let ended = output.status.code();
        ensure!(
            ended == Some(*status),
            "line {line}: `{command}` ended with {ended:?}, expected {status}:\n{said}"
        );
        if let Some(missing) = first_missing(expected, &said) {
            bail!("line {line}: `{command}` did not print `{missing}`; it printed:\n{said}");
        }
        Ok(())
    }
}

/// The first line of `expected` that is not in `said`, below the one before it.
fn first_missing<'e>(expected: &'e [String], said: &str) -> Option<&'e str> {
    let mut lines = said.lines();
    let wanted = expected.iter().filter(|line| line.trim() != "…");
    wanted
        .map(String::as_str)
        .find(|wanted| !lines.any(|line| matches(wanted.trim(), line.trim())))
}

/// Whether `line` is `pattern`, in which `…` stands for anything.
fn matches(pattern: &str, line: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('…') else {
        return pattern == line;
    };
    let Some(line) = line.strip_prefix(first) else {
        return false;
    };
    let places = (0..=line.len()).filter(|at| line.is_char_boundary(*at));
    let mut tails = places.filter_map(|at| line.get(at..));
    tails.any(|tail| matches(rest, tail))
}

fn parse(text: &str) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut lines = text.lines().enumerate();
    let mut before = "";
    while let Some((number, line)) = lines.next() {
        let Some(fence) = line.strip_prefix("```") else {
            before = if line.is_empty() { before } else { line };
            continue;
        };
        let mut block = Vec::new();
        loop {
            let (_, line) = lines
                .next()
                .with_context(|| format!("line {}: the block has no end", number + 1))?;
            if line == "```" {
                break;
            }
            block.push(line);
        }
        match (fence, file_of(before)) {
            ("console", _) => commands(number + 2, &block, &mut steps)?,
            (_, Some((file, append))) => steps.push(Step::Write {
                file: file.into(),
                append,
                text: block.join("\n") + "\n",
            }),
            _ => {}
        }
        before = "";
    }
    Ok(steps)
}

/// The file that a line such as `<!-- file: NAME -->` names, and whether it is appended to.
fn file_of(line: &str) -> Option<(&str, bool)> {
    let comment = line.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    match comment.split_once(": ")? {
        ("file", name) => Some((name, false)),
        ("append", name) => Some((name, true)),
        _ => None,
    }
}

fn commands(first: usize, block: &[&str], steps: &mut Vec<Step>) -> Result<()> {
    let mut goes_on = false;
    for (place, text) in block.iter().enumerate() {
        let number = first + place;
        match (text.strip_prefix("$ "), steps.last_mut()) {
            (
                _,
                Some(Step::Run {
                    command, status, ..
                }),
            ) if goes_on => {
                let (text, ending) = ending(text)?;
                command.push('\n');
                command.push_str(text);
                *status = ending;
                goes_on = text.ends_with('\\');
            }
            (Some(text), _) => {
                let (command, status) = ending(text)?;
                goes_on = command.ends_with('\\');
                steps.push(Step::Run {
                    line: number,
                    command: command.into(),
                    status,
                    expected: Vec::new(),
                });
            }
            (None, Some(Step::Run { expected, .. })) if place > 0 => {
                expected.push((*text).into());
            }
            _ => bail!("line {number}: a block of commands begins with `$ `"),
        }
    }
    Ok(())
}

/// A command's last line without what it says of its exit status, and that.
fn ending(line: &str) -> Result<(&str, i32)> {
    match line.split_once("# exit status ") {
        Some((command, status)) => Ok((command.trim_end(), status.trim().parse()?)),
        None => Ok((line, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# A page

<!-- file: greeting.txt -->
```text
good morning
```

```console
$ cat greeting.txt
good …
$ echo one; \\
  echo two >&2; echo three
one
…
three
$ false # exit status 1
$ echo four; \\
  exit 2 # exit status 2
four
```

```sh
exit 7 # is not run
```
";

    fn follow(text: &str) -> Result<usize> {
        let folder = tempfile::tempdir().unwrap();
        let document = Document {
            path: "page.md".into(),
            steps: parse(text)?,
        };
        document.follow(folder.path(), Path::new("/nowhere/bistable"), &[])
    }

    fn failure(from: &str, to: &str) -> String {
        let text = TEXT.replace(from, to);
        assert_ne!(text, TEXT, "nothing was replaced");
        format!("{:#}", follow(&text).unwrap_err())
    }

    #[test]
    fn a_document_that_is_true_is_followed_to_its_end() {
        assert_eq!(follow(TEXT).unwrap(), 4);
    }

    #[test]
    fn what_is_not_printed_is_missed_and_so_is_an_order() {
        assert!(failure("good …", "bad …").contains("did not print `bad …`"));
        let swapped = failure("one\n…\nthree", "three\none");
        assert!(swapped.contains("did not print `one`"), "{swapped}");
    }

    #[test]
    fn another_exit_status_is_noticed_with_its_line() {
        let message = failure(" # exit status 1", "");
        assert!(
            message.contains("line 16: `false` ended with Some(1), expected 0"),
            "{message}"
        );
        assert!(failure("cat greeting", "cat greetings").contains("ended with Some(1)"));
    }

    #[test]
    fn a_document_without_commands_is_no_tutorial() {
        assert!(follow("# A page\n").is_err());
    }
}
