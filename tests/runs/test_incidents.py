from __future__ import annotations

from datetime import datetime, timedelta, timezone

from mimocorb_dist.runs.incidents import MOST, Incidents, Sighting

START = datetime(2026, 2, 3, 12, tzinfo=timezone(timedelta(hours=1)))


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_beginning_end_and_cause_are_kept() -> None:
    incidents = Incidents()
    incidents.note({("held", "daq"): Sighting("no room", at(1))}, at(1))
    incidents.note({("held", "daq"): Sighting("even less room", at(2))}, at(2))
    (row,) = incidents.to_plain(at(3.5))["incidents"]
    assert (row["to"], row["duration_s"]) == (None, 2.5)
    incidents.note({}, at(4))
    assert incidents.to_plain(at(9)) == {
        "incidents": [
            {
                "kind": "held",
                "where": "daq",
                "from": "2026-02-03T12:00:01.000+01:00",
                "to": "2026-02-03T12:00:04.000+01:00",
                "duration_s": 3.0,
                "why": "no room",
            }
        ]
    }


def test_a_long_run_does_not_make_a_long_record() -> None:
    incidents = Incidents()
    for number in range(MOST + 3):
        incidents.note({("silent", "raw"): Sighting("silent", at(10 * number))}, at(10 * number + 1))
        incidents.note({}, at(10 * number + 2))
    content = incidents.to_plain(at(1e5))
    assert len(content["incidents"]) == MOST
    assert content["more_incidents"] == {"silent": {"count": 3, "duration_s": 6.0}}
