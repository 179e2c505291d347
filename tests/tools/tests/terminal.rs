//! What the tool shows on a terminal and nowhere else: colours, and how far something has come.

#[path = "../../../host-tools/tests/bench/mod.rs"]
mod product;

use std::fs;
use std::process::Command;

use bistable_firmware::ensure_command;
use bistable_tools_tests::{bistable, succeeds};
use product::Bench;

/// What begins a colour (ECMA-48 §8.3.117).
const ESCAPE: char = '\u{1b}';

/// What `bistable <arguments>` shows on a terminal.
fn on_a_terminal(bench: &Bench, arguments: &str, variables: &[(&str, &str)]) -> String {
    ensure_command("script", "bsdutils").unwrap();
    let line = format!("{} {arguments}", bistable().display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    script.current_dir(bench.path("")).env("TERM", "xterm");
    script
        .env_remove("NO_COLOR")
        .envs(variables.iter().copied());
    succeeds(&mut script)
}

fn in_a_pipe(bench: &Bench, arguments: &str) -> String {
    let mut command = Command::new(bistable());
    command.args(arguments.split_whitespace());
    succeeds(command.current_dir(bench.path("")))
}

#[test]
fn colours_are_for_terminals_and_for_those_who_want_them() {
    let bench = Bench::of(bistable());
    bench.image(1);
    let verify = "image verify v1.img --layout layout.toml";
    assert!(on_a_terminal(&bench, verify, &[]).contains(ESCAPE));
    assert!(!on_a_terminal(&bench, verify, &[("NO_COLOR", "1")]).contains(ESCAPE));
    assert!(!in_a_pipe(&bench, verify).contains(ESCAPE));
    // JSON has none anywhere.
    let json = format!("{verify} --json");
    assert!(!on_a_terminal(&bench, &json, &[]).contains(ESCAPE));
}

#[test]
fn what_takes_longer_than_a_second_shows_how_far_it_is_on_a_terminal_only() {
    let bench = Bench::of(bistable());
    let image = bench.image_with(1, &[]);
    bench.make_key("second");
    bench.make_key("third");
    let bytes = fs::read(image).unwrap();
    let mut count = 200;
    loop {
        let copies: Vec<_> = (0..count).map(|number| format!("{number}.img")).collect();
        for copy in &copies {
            fs::write(bench.path(copy), &bytes).unwrap();
        }
        let sign = format!("image sign {}", copies.join(" "));
        let shown = on_a_terminal(&bench, &format!("{sign} --key second.pem"), &[]);
        if shown.contains(&format!("/{count}, ")) {
            let begun = std::time::Instant::now();
            let mut command = Command::new(bistable());
            command
                .args(sign.split_whitespace())
                .args(["--key", "third.pem"]);
            let output = command.current_dir(bench.path("")).output().unwrap();
            assert!(output.status.success(), "{output:?}");
            assert!(
                output.stderr.is_empty(),
                "after {:?}: {output:?}",
                begun.elapsed()
            );
            return;
        }
        count *= 2;
        assert!(count <= 6400, "no bar was ever shown: {shown}");
    }
}
