//! Moments of the Timestamptz type: microseconds since 1970 in UTC, read and written as RFC 3339 text, and moved by
//! ISO 8601 durations. Names of time zones come with the program, so that every machine agrees on them.

use jiff::civil::DateTime;
use jiff::fmt::temporal::{Pieces, SpanParser};
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Span, Timestamp};

const MICROS_PER_HOUR: i128 = 3_600_000_000;

/// A time zone of the IANA database. The default is UTC.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self::utc()
    }
}

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of this name, for example `Asia/Shanghai`; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("utc") {
            return Some(Self::utc());
        }
        TimeZoneDatabase::bundled().get(name).ok().map(Self)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

/// Reads a moment: RFC 3339, or a date and time without offset (or a date alone), which is in `zone`. Digits beyond
/// microseconds are dropped. `None` for anything else.
pub fn parse(text: &str, zone: &Zone) -> Option<i64> {
    let text = text.trim_ascii();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return i64::try_from(moment.as_nanosecond().div_euclid(1000)).ok();
    }
    if let Ok(local) = text.parse::<DateTime>()
        && let Ok(zoned) = local.to_zoned(zone.0.clone())
    {
        return i64::try_from(zoned.timestamp().as_nanosecond().div_euclid(1000)).ok();
    }
    at_the_end(text, zone)
}

/// The first and the last day of the calendar are in no `Timestamp`, whose every moment has a date in every zone. People
/// write `9999-12-31T23:59:59Z` for "never".
fn at_the_end(text: &str, zone: &Zone) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    let local = DateTime::from_parts(pieces.date(), pieces.time().unwrap_or_default());
    let offset = match pieces.to_numeric_offset() {
        Some(offset) => offset,
        None if text.ends_with(['Z', 'z']) => Offset::UTC,
        None => zone.0.to_offset(Timestamp::MAX),
    };
    let nanos = local.duration_since(EPOCH).as_nanos() - i128::from(offset.seconds()) * 1_000_000_000;
    i64::try_from(nanos.div_euclid(1000)).ok().filter(|micros| as_utc(*micros).is_some())
}

/// Midnight of 1 January 1970.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Date and time in UTC; `None` beyond the calendar.
fn as_utc(micros: i64) -> Option<DateTime> {
    EPOCH.checked_add(SignedDuration::from_micros(micros)).ok()
}

/// Whether a number of microseconds since 1970 is in the calendar: the years -9999 to 9999.
pub fn is_in_range(micros: i64) -> bool {
    as_utc(micros).is_some()
}

/// Writes a moment in RFC 3339 with the offset of `zone`, `Z` if that is zero; the fraction without trailing zeros. A
/// number beyond the years that RFC 3339 can write comes out as it is.
pub fn format(micros: i64, zone: &Zone) -> String {
    let Ok(moment) = Timestamp::from_microsecond(micros) else {
        let utc = as_utc(micros).map(|utc| utc.strftime("%Y-%m-%dT%H:%M:%S%.fZ").to_string());
        return utc.unwrap_or_else(|| micros.to_string());
    };
    let zoned = moment.to_zoned(zone.0.clone());
    // RFC 3339 has no seconds in offsets, which places had before zones were agreed on.
    let offset = zoned.offset().seconds();
    if offset == 0 || offset % 60 != 0 {
        return moment.strftime("%Y-%m-%dT%H:%M:%S%.fZ").to_string();
    }
    zoned.strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
}

/// A duration: months go by the calendar (in UTC), the rest is a fixed time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interval {
    months: i64,
    micros: i64,
}

impl Interval {
    /// Reads an ISO 8601 duration, for example `P1Y2M3DT4H5M6.5S` or `P2W`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let span = SpanParser::new().parse_span(text).ok()?;
        let days = i128::from(span.get_weeks()) * 7 + i128::from(span.get_days());
        let hours = days * 24 + i128::from(span.get_hours());
        let seconds = i128::from(span.get_minutes()) * 60 + i128::from(span.get_seconds());
        let fraction = i128::from(span.get_milliseconds()) * 1000
            + i128::from(span.get_microseconds())
            + i128::from(span.get_nanoseconds() / 1000);
        let micros = hours * MICROS_PER_HOUR + seconds * 1_000_000 + fraction;
        let months = i64::from(span.get_years()) * 12 + i64::from(span.get_months());
        Some(Self { months, micros: i64::try_from(micros).ok()? })
    }

    /// The same backwards.
    pub(crate) fn negated(self) -> Option<Self> {
        Some(Self { months: self.months.checked_neg()?, micros: self.micros.checked_neg()? })
    }

    /// The moment that is this much later; a day that the month lacks becomes its last. `None` beyond the calendar.
    pub(crate) fn after(self, micros: i64) -> Option<i64> {
        let mut moved = micros;
        if self.months != 0 {
            let span = Span::new().try_months(self.months).ok()?;
            let start = Timestamp::from_microsecond(micros).ok()?.to_zoned(TimeZone::UTC);
            moved = start.checked_add(span).ok()?.timestamp().as_microsecond();
        }
        moved.checked_add(self.micros)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::named(name).unwrap()
    }

    #[test]
    fn reads_offsets_and_naive_times() {
        let utc = Zone::utc();
        let shanghai = zone("Asia/Shanghai");
        let at = 1_735_689_600_000_000; // 2025-01-01T00:00:00Z
        assert_eq!(parse("2025-01-01T00:00:00Z", &shanghai), Some(at));
        assert_eq!(parse("2025-01-01T08:00:00+08:00", &utc), Some(at));
        assert_eq!(parse("2025-01-01T08:00:00", &shanghai), Some(at));
        assert_eq!(parse("2025-01-01 08:00:00", &shanghai), Some(at));
        assert_eq!(parse("2025-01-01", &utc), Some(at));
        assert_eq!(parse("2025-01-01T00:00:00.0000015Z", &utc), Some(at + 1));
        assert_eq!(parse("1969-12-31T23:59:59.9999999Z", &utc), Some(-1));
        for bad in ["", "now", "2025-13-01T00:00:00Z", "2025-01-01T25:00:00Z", "1735689600", "12:00"] {
            assert_eq!(parse(bad, &utc), None, "{bad}");
        }
        assert_eq!(Zone::named("Nowhere/Land"), None);
        assert_eq!((zone("utc").name(), shanghai.name()), ("UTC", "Asia/Shanghai"));
    }

    #[test]
    fn writes_rfc_3339() {
        let at = 1_735_689_600_000_000;
        assert_eq!(format(at, &Zone::utc()), "2025-01-01T00:00:00Z");
        assert_eq!(format(at, &zone("Asia/Shanghai")), "2025-01-01T08:00:00+08:00");
        assert_eq!(format(at + 120_000, &zone("America/New_York")), "2024-12-31T19:00:00.12-05:00");
        assert_eq!(format(at, &zone("Europe/London")), "2025-01-01T00:00:00Z");
        // Before 1901 Shanghai was 8:05:43 ahead.
        assert_eq!(format(-3_000_000_000_000_000, &zone("Asia/Shanghai")), "1874-12-07T18:40:00Z");
        assert_eq!(format(i64::MAX, &Zone::utc()), i64::MAX.to_string());
        for last in ["9999-12-31T23:59:59.999999Z", "9999-12-31T00:00:00Z"] {
            let micros = parse(last, &zone("Asia/Shanghai")).unwrap();
            assert_eq!(format(micros, &Zone::utc()), last);
            assert_eq!(format(micros, &zone("Asia/Shanghai")), last, "there it is another year");
        }
        assert_eq!(parse("9999-12-31", &Zone::utc()), parse("9999-12-31T08:00:00+08:00", &Zone::utc()));
        assert_eq!(parse("9999-12-31T23:59:59-08:00", &Zone::utc()), None);
    }

    #[test]
    fn durations_go_by_the_calendar() {
        let utc = Zone::utc();
        let moved = |start: &str, duration: &str| {
            let after = Interval::parse(duration)?.after(parse(start, &utc)?)?;
            Some(format(after, &utc))
        };
        let cases = [
            ("2024-01-31T10:00:00Z", "P1M", "2024-02-29T10:00:00Z"),
            ("2024-02-29T00:00:00Z", "P1Y", "2025-02-28T00:00:00Z"),
            ("2025-01-01T00:00:00Z", "P1Y2M3DT4H5M6.5S", "2026-03-04T04:05:06.5Z"),
            ("2025-01-01T00:00:00Z", "P2W", "2025-01-15T00:00:00Z"),
            ("2025-01-01T00:00:00Z", "-P1D", "2024-12-31T00:00:00Z"),
            ("2025-01-01T00:00:00Z", "PT36H", "2025-01-02T12:00:00Z"),
        ];
        for (start, duration, end) in cases {
            assert_eq!(moved(start, duration).as_deref(), Some(end), "{start} {duration}");
        }
        for bad in ["", "P", "1D", "P1", "PT", "P1H", "1 day"] {
            assert_eq!(Interval::parse(bad), None, "{bad}");
        }
        assert_eq!(Interval::parse("P1D").unwrap().after(i64::MAX), None);
        assert_eq!(Interval::parse("P1M").unwrap().after(i64::MAX), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(micros in -60_000_000_000_000_000i64..250_000_000_000_000_000, name in prop::sample::select(vec!["UTC", "Asia/Shanghai", "America/New_York", "Asia/Kathmandu"])) {
            let zone = zone(name);
            prop_assert_eq!(parse(&format(micros, &zone), &Zone::utc()), Some(micros));
        }

        #[test]
        fn never_panics(text in "[-+PYMWDTHS0-9:.Z ]{0,24}", micros: i64) {
            let moment = parse(&text, &zone("Asia/Shanghai"));
            format(moment.unwrap_or(micros), &zone("Asia/Shanghai"));
            if let Some(interval) = Interval::parse(&text) {
                interval.after(micros);
                interval.negated().and_then(|i| i.after(micros));
            }
        }
    }
}
