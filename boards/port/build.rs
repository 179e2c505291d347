//! Says which Arm processor it is compiled for: the compiler tells a crate no more than that it is one.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").unwrap_or_default();
    for (is_so, name) in [
        (target.starts_with("thumbv6m-"), "armv6m"),
        (
            target.starts_with("thumb") && target.ends_with("-eabihf"),
            "has_fpu",
        ),
    ] {
        if is_so {
            println!("cargo::rustc-cfg={name}");
        }
    }
}
