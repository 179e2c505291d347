//! Files are the old ones or the new ones, wherever the tool is killed.
//!
//! `strace` kills the process as it enters a system call, so that this call is not done any more: once at
//! each call that changes a file, a name or a directory, or makes sure that it lasts. It also says in
//! which order they come, which is what counts when the power fails, and no kill shows that.

mod calls;
mod job;
#[path = "../../../../host-tools/tests/bench/mod.rs"]
mod product;

use std::fs;
use std::path::Path;

use bistable_layout::Ring;
use bistable_tools::keys::{self, Passphrases, Source};
use bistable_tools_tests::bistable;

use calls::check_order;
use job::{Job, files};

fn bench() -> product::Bench {
    product::Bench::of(bistable())
}

#[test]
fn a_killed_build_leaves_old_or_new_files_and_the_image_comes_last() {
    let bench = bench();
    bench.image(1);
    bench.link(2);
    let build = product::build("v1.img", 2, &["--key", "dev.pem"]);
    let job = Job::new(&bench.path(""), &build.as_strs());
    job.keeps_old_or_new("v1.img");
}

#[test]
fn a_build_that_cannot_name_its_last_file_puts_the_others_back() {
    let bench = bench();
    bench.image(1);
    bench.link(2);
    let build = product::build("v1.img", 2, &["--key", "dev.pem"]);
    let job = Job::new(&bench.path(""), &build.as_strs());
    let (calls, after) = job.calls();
    let renames = calls.iter().filter(|call| call.name == "rename").count();
    assert!(renames >= 3, "{renames}");
    for (call, number) in [
        ("rename", renames),
        ("rename", 1),
        ("fsync", 1),
        ("write", 2),
    ] {
        let folder = job.folder();
        let log = tempfile::NamedTempFile::new().unwrap();
        let fail = format!("inject={call}:error=EIO:when={number}");
        let output = job.traced(folder.path(), log.path(), &fail);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(files(folder.path()) == job.before, "{call} {number}");
        assert!(after != job.before);
    }
}

#[test]
fn a_killed_signature_is_made_or_not() {
    let bench = bench();
    bench.make_key("second");
    bench.image(1);
    let sign = ["image", "sign", "v1.img", "--key", "second.pem"];
    let bench = Job::new(&bench.path(""), &sign);
    let (calls, after) = bench.calls();
    check_order(&calls, &after, &bench.before);
    let image = Path::new("v1.img");
    let places = bench.killed_everywhere(|folder, place| {
        let found = fs::read(folder.join(image)).unwrap();
        let is_new = after.get(image) == Some(&found);
        assert!(is_new || bench.before.get(image) == Some(&found), "{place}");
        // Another signature by this key is refused, and changes nothing.
        assert_eq!(bench.run(folder).status.success(), !is_new, "{place}");
        assert_eq!(
            after.get(image),
            Some(&fs::read(folder.join(image)).unwrap()),
            "{place}"
        );
    });
    assert!(places >= 4, "{places}");
}

#[test]
fn a_killed_publication_points_at_an_image_that_is_there() {
    let bench = bench();
    bench.image(1);
    bench.image(2);
    bench.succeeds(&["publish", "store", "v1.img"]);
    let job = Job::new(&bench.path(""), &["publish", "store", "v2.img"]);
    job.keeps_old_or_new("latest/stable");
}

#[test]
fn a_killed_factory_build_leaves_the_old_flash_or_the_new_one() {
    let bench = bench();
    bench.image(1);
    fs::write(bench.path("flash.bin"), "an old one").unwrap();
    let job = Job::new(
        &bench.path(""),
        &[
            "factory",
            "build",
            "--layout",
            "layout.toml",
            "--image",
            "v1.img",
            "--serial",
            "BST-000042",
            "--out",
            "flash.bin",
        ],
    );
    job.keeps_old_or_new("flash.bin");
}

#[test]
fn a_killed_request_is_whole_or_not_there() {
    let bench = bench();
    let digest = "17".repeat(32);
    let job = Job::new(
        &bench.path(""),
        &[
            "request",
            "roll-back",
            "--layout",
            "layout.toml",
            "--unit",
            "BST-000042",
            "--leave",
            &digest,
            "--number",
            "7",
            "--key",
            "dev.pem",
            "--out",
            "back.req",
        ],
    );
    job.keeps_old_or_new("back.req");
}

#[test]
fn a_killed_new_key_is_whole_and_in_the_ring_or_known_to_nobody() {
    let bench = bench();
    let new = ["key", "new", "--ring", "ring.toml", "--name", "alice"];
    let job = Job::new(&bench.path(""), &new);
    let (calls, after) = job.calls();
    check_order(&calls, &after, &job.before);
    let places = job.killed_everywhere(|folder, place| {
        let ring = || {
            Ring::read(&folder.join("ring.toml")).unwrap_or_else(|error| panic!("{place}: {error}"))
        };
        let file = folder.join("alice.pem");
        let is_known = ring().keys.len() == 2;
        assert!(!is_known || file.exists(), "{place}: nobody has the key");
        if file.exists() {
            let key = Source::from(file.to_str().unwrap());
            let public = keys::public(&key, &Passphrases::default());
            let public = public.unwrap_or_else(|error| panic!("{place}: {error}"));
            let known = ring().keys.iter().any(|entry| entry.key.public == public);
            assert_eq!(known, is_known, "{place}");
        }
        let output = job.run(folder);
        if is_known {
            assert!(!output.status.success(), "{place}: the name was taken");
        } else if file.exists() && !output.status.success() {
            // It might be the only copy of somebody's key, so it is for people to remove it.
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                said.contains("a cut `key new` may have left it"),
                "{place}: {said}"
            );
            fs::remove_file(&file).unwrap();
            assert!(job.run(folder).status.success(), "{place}");
        } else {
            assert!(output.status.success(), "{place}: {output:?}");
        }
        assert_eq!(ring().keys.len(), 2, "{place}");
    });
    assert!(places >= 10, "{places}");
}
