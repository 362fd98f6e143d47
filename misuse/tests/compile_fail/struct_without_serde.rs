use poniard::prelude::*;

struct Point {
    x: i64,
}

fn x(point: Point) -> i64 {
    point.x
}

fn main() {
    spawn!(x(Point { x: 1 }));
}
