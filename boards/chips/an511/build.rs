//! Generates the constants of the product.

fn main() {
    bistable_layout::build::library("layout.toml");
}
