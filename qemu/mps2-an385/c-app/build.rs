//! Generates the constants of the library, and a memory.x for each slot, from the product's layout.

fn main() {
    bistable_layout::build::c_library("../layout.toml");
}
