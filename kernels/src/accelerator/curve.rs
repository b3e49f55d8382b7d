//! How long a kernel takes, by the number of items: what was measured, and straight lines between.

use serde::{Deserialize, Serialize};

/// A measured batch size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Items of the batch, at least 1.
    pub items: usize,
    /// Median time of the whole batch, from the call to the answer, in seconds.
    pub seconds: f64,
}

/// Time by batch size. No size takes less time than a smaller one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Point>", into = "Vec<Point>")]
pub struct Curve {
    points: Vec<Point>,
}

/// Points that are no curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CurveError {
    /// There are none.
    #[error("no points were measured")]
    Empty,
    /// A point has no items, not more than the one before it, or a time that is no positive number.
    #[error("point {index} is out of order or has no time")]
    Point {
        /// Its index.
        index: usize,
    },
}

impl Curve {
    /// Points in ascending order of items. Where a larger batch took less time than a smaller one, the smaller was
    /// disturbed (noise only adds time): it is taken to need no more than the larger.
    ///
    /// # Errors
    /// [`CurveError`].
    pub fn new(mut points: Vec<Point>) -> Result<Self, CurveError> {
        let mut before = 0;
        for (index, point) in points.iter().enumerate() {
            if point.items <= before || !point.seconds.is_finite() || point.seconds <= 0.0 {
                return Err(CurveError::Point { index });
            }
            before = point.items;
        }
        let mut least = points.last().ok_or(CurveError::Empty)?.seconds;
        for point in points.iter_mut().rev() {
            least = least.min(point.seconds);
            point.seconds = least;
        }
        Ok(Self { points })
    }

    /// The points.
    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Seconds that so many items are expected to take: between points on a straight line, below the first as long
    /// as that, beyond the last at the pace of the last two (of the one, if there is but one). Nothing takes no time.
    #[must_use]
    pub fn seconds(&self, items: usize) -> f64 {
        if items == 0 {
            return 0.0;
        }
        let above = self.points.partition_point(|point| point.items < items);
        let [low, high] = match (above, self.points.as_slice()) {
            (0, points) => return points[0].seconds,
            (_, [only]) => [Point { items: 0, seconds: 0.0 }, *only],
            (above, points) => {
                let above = above.min(points.len() - 1);
                [points[above - 1], points[above]]
            }
        };
        #[allow(clippy::cast_precision_loss, reason = "batches are far below 2^52 items")]
        let [items, from, to] = [items, low.items, high.items].map(|items| items as f64);
        low.seconds + (high.seconds - low.seconds) * (items - from) / (to - from)
    }
}

impl TryFrom<Vec<Point>> for Curve {
    type Error = CurveError;

    fn try_from(points: Vec<Point>) -> Result<Self, CurveError> {
        Self::new(points)
    }
}

impl From<Curve> for Vec<Point> {
    fn from(curve: Curve) -> Self {
        curve.points
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn curve(points: &[(usize, f64)]) -> Curve {
        Curve::new(points.iter().map(|&(items, seconds)| Point { items, seconds }).collect()).unwrap()
    }

    #[test]
    fn times_lie_on_lines_between_points() {
        let curve = curve(&[(1, 1.0), (11, 2.0), (111, 12.0)]);
        for (items, seconds) in
            [(0, 0.0), (1, 1.0), (6, 1.5), (11, 2.0), (61, 7.0), (111, 12.0), (1111, 112.0)]
        {
            assert!((curve.seconds(items) - seconds).abs() < 1e-9, "{items}: {}", curve.seconds(items));
        }
    }

    #[test]
    fn one_point_gives_a_pace() {
        let curve = curve(&[(10, 5.0)]);
        assert_eq!([0, 1, 10, 20].map(|items| curve.seconds(items)), [0.0, 5.0, 5.0, 10.0]);
    }

    #[test]
    fn a_disturbed_point_is_lowered_to_the_next() {
        let curve = curve(&[(1, 9.0), (4, 2.0), (16, 3.0)]);
        assert_eq!([1, 4, 16].map(|items| curve.seconds(items)), [2.0, 2.0, 3.0]);
    }

    #[test]
    fn what_is_no_curve_is_refused() {
        let point = |items, seconds| Point { items, seconds };
        assert_eq!(Curve::new(Vec::new()), Err(CurveError::Empty));
        for (bad, index) in [
            (vec![point(0, 1.0)], 0),
            (vec![point(1, 0.0)], 0),
            (vec![point(1, 1.0), point(1, 2.0)], 1),
            (vec![point(1, 1.0), point(2, f64::NAN)], 1),
            (vec![point(1, f64::INFINITY)], 0),
        ] {
            assert_eq!(Curve::new(bad), Err(CurveError::Point { index }));
        }
    }
}
