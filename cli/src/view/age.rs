//! Times as people read them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::NONE;

/// How long ago, as kubectl writes it: `47s`, `5m`, `3h`, `12d`.
pub fn age(since: Option<&Time>, now: Timestamp) -> String {
    let Some(since) = since else {
        return NONE.to_owned();
    };
    let seconds = now.as_second().saturating_sub(since.0.as_second()).max(0);
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_grows_with_the_age() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |ago: i64| Some(Time(Timestamp::from_second(1_000_000 - ago).unwrap()));
        for (ago, wanted) in [
            (0, "0s"),
            (47, "47s"),
            (300, "5m"),
            (10_800, "3h"),
            (900_000, "10d"),
        ] {
            assert_eq!(age(at(ago).as_ref(), now), wanted);
        }
        assert_eq!(age(None, now), "-");
        assert_eq!(age(at(-5).as_ref(), now), "0s");
    }
}
