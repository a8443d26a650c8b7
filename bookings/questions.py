"""What is asked about those who come."""

from collections.abc import Iterable
from itertools import groupby

from bookings.models import Entry, Question


def questions_about(entries: Iterable[Entry]) -> dict[int, list[Question]]:
    """What is asked about each place at these entries, by the entries' primary keys: one query."""
    entries = list(entries)
    asked = Question.objects.filter(archived_at=None, calendar__in={entry.calendar_id for entry in entries})
    by_calendar = groupby(asked.order_by("calendar", "position", "pk"), key=lambda question: question.calendar_id)
    of_calendar = {calendar: list(questions) for calendar, questions in by_calendar}
    return {
        entry.pk: [
            question
            for question in of_calendar.get(entry.calendar_id, [])
            if question.series_id in (None, entry.series_id)
        ]
        for entry in entries
    }
