//! When a busy server wants to be asked again: the `Retry-After` of an answer 429 or 503 (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ureq::http::{HeaderMap, StatusCode};

/// The longest wait that a server can ask for; a request that would have to wait longer fails at once.
const LONGEST: Duration = Duration::from_secs(60);

/// Pauses before a failed request is repeated, if the server says nothing: three tries in all.
pub(crate) const PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];

/// How long to wait before a busy server is asked again: what it says, or else `pause`. `None` if it isn't busy, or wants to
/// be left alone for too long.
pub(crate) fn pause_for(status: StatusCode, headers: &HeaderMap, pause: Duration) -> Option<Duration> {
    if ![StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status) {
        return None;
    }
    let wait = retry_after(headers, SystemTime::now()).unwrap_or(pause);
    (wait <= LONGEST).then_some(wait)
}

/// What the header says, in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = UNIX_EPOCH + Duration::from_secs(seconds_of_date(text)?);
    Some(at.duration_since(now).unwrap_or_default())
}

/// Seconds since 1970 of a date such as `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds_of_date(text: &str) -> Option<u64> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok().filter(|day| (1..=31).contains(day))?;
    let month = MONTHS.find(words.next().filter(|month| month.len() == 3)?)? as u64 / 3 + 1;
    let year: u64 = words
        .next()?
        .parse()
        .ok()
        .filter(|year| (1970..10_000).contains(year))?;
    let mut clock = words.next()?.split(':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (clock.next()??, clock.next()??, clock.next()??);
    // Days since 1 March of year 0, in years that begin with March, so that leap days are last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some((days.checked_sub(719_468)?) * 86_400 + hours * 3600 + minutes * 60 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_server_says_when_to_ask_again() {
        #[track_caller]
        fn check(status: u16, header: &str, expected_s: Option<u64>) {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", header.parse().unwrap());
            let pause = pause_for(StatusCode::from_u16(status).unwrap(), &headers, Duration::from_secs(7));
            assert_eq!(pause, expected_s.map(Duration::from_secs), "{header}");
        }
        check(429, "3", Some(3));
        check(503, " 0 ", Some(0));
        check(503, "soon", Some(7));
        check(429, "Sun, 06 Nov 1994 08:49:37 GMT", Some(0));
        check(429, "3600", None);
        check(404, "3", None);
        assert_eq!(seconds_of_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds_of_date("Thu, 29 Feb 2024 00:00:00 GMT"), Some(1_709_164_800));
        assert_eq!(seconds_of_date("Sun, 06 Foo 1994 08:49:37 GMT"), None);
    }
}
