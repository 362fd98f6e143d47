use poniard::prelude::*;

#[derive(serde::Serialize, serde::Deserialize)]
struct Point {
    x: i64,
}

fn x(point: Point) -> i64 {
    point.x
}

fn main() {
    assert_eq!(spawn!(x(Point { x: 1 })).fetch().unwrap(), 1);
}
