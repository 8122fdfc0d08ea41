"""The verdict as text."""

from __future__ import annotations

from .harness import Verdict


def report(verdict: Verdict) -> str:
    """Return the verdict as text."""
    rows = [f"{'fault':<22}{'made':>6}{'events after':>14}{'healed after':>14}"]
    rows += [
        f"{kind:<22}{tally.made:>6}{tally.through_s:>12.2f} s{tally.healed_s:>12.2f} s"
        for kind, tally in sorted(verdict.tallies.items())
    ]
    made = sum(tally.made for tally in verdict.tallies.values())
    rows += [f"{'all':<22}{made:>6}   (and {verdict.not_reached} that needed no more memory)", ""]
    rows += [f"events in: {', '.join(f'{name} {count}' for name, count in verdict.events_in.items())}"]
    heads = ("due", "found", "lost", "doubled", "torn", "reordered")
    rows += [f"{'events out':<16}" + "".join(f"{head:>11}" for head in heads)]
    rows += [
        f"{book.worker:<16}" + "".join(f"{getattr(book, head):>11}" for head in heads)
        for book in verdict.books
    ]
    rows += [f"leaked: {verdict.leaks or 'nothing'}", *verdict.complaints]
    rows += [f"{'clean' if verdict.clean else 'NOT CLEAN'}, in {verdict.wall_s:.0f} s"]
    return "\n".join(rows)
