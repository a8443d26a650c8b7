"""Actions that staff take with chosen rows: shown for each row first, then confirmed, and taken once with each."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from cartsite import agreements
from cartsite.backoffice import NoteForm, path_of
from cartsite.http import read_key
from cartsite.reauthentication import require_recent_sign_in
from cartsite.refusals import Conflict, Refusal
from cartsite.templatetags.shop import in_words

REPEATED = "This was done already, and not again."


class Refused(Refusal):
    """It was not done, and the text says why, to staff."""


@dataclass(frozen=True)
class RowPreview:
    """What an action comes to for one row, in sentences, or why it cannot be taken with it."""

    sentences: Sequence[str] = ()
    facts: Any = None  # what else is agreed to
    sums: Mapping[str, Decimal] = field(default_factory=dict)  # amounts to add up for all rows, by what becomes of them
    why_not: str = ""
    in_the_way: Sequence[tuple[str, Model | None]] = ()  # why not, in sentences, and the row at which each is mended

    @property
    def is_possible(self) -> bool:
        """Whether the action can be taken with the row."""
        return not (self.why_not or self.in_the_way)

    @property
    def ways_out(self) -> list[tuple[str, str]]:
        """What is in the way, each with the path of the page where it is mended, if there is one."""
        return [(words, path_of(row) if row else "") for words, row in self.in_the_way]


def preview_status(_request: HttpRequest, row: Any) -> RowPreview:
    """The preview of an action that comes to the same for every row."""
    return RowPreview(facts=getattr(row, "status", None))


def _do_nothing(_request: HttpRequest, _row: Any) -> None:
    """Where an action asks nobody outside."""


def _read_again(_request: HttpRequest, row: Any) -> Any:
    return type(row)._default_manager.get(pk=row.pk)


@dataclass(frozen=True)
class StaffAction:
    """An action of a list that is confirmed on a page of its own."""

    name: str
    title: str
    consequence: str
    # Takes the action with a row and the note, and logs it; returns what came of it. Raises Refused.
    run: Callable[[HttpRequest, Any, str], str]
    say: Callable[[int], str]  # with how many rows it was taken
    preview: Callable[[HttpRequest, Any], RowPreview] = preview_status
    needs_note: bool = True
    most: int = 50  # rows at once: so many are gone through while staff wait for the page
    # Reads the row again, and locks what its preview follows from.
    lock: Callable[[HttpRequest, Any], Any] = _read_again
    # Outside of the transaction, since these may ask SumUp. `before` may raise Refused.
    before: Callable[[HttpRequest, Any], object] = _do_nothing
    after: Callable[[HttpRequest, Any], object] = _do_nothing


class ListOfRows(Protocol):
    """What an action needs of the admin whose list it stands in."""

    message_user: Callable[..., None]
    show_page: Callable[..., HttpResponse]
    get_queryset: Callable[[HttpRequest], QuerySet[Any]]
    go_back: Callable[[HttpRequest, QuerySet[Any]], HttpResponse]


def confirm(admin: ListOfRows, request: HttpRequest, rows: QuerySet[Any], action: StaffAction) -> HttpResponse:
    """Show what the action comes to for each chosen row, with a yes below; posted with that, take it once with each.

    Raises SignInTooOld, with nothing done, for somebody who signed in long ago.
    """
    is_posted = "confirmed" in request.POST
    form = (NoteForm if action.needs_note else forms.Form)(request.POST if is_posted else None)
    step = _Step(admin, request, action, form)
    if not is_posted:
        return step.ask(list(rows[: action.most + 1]))
    chosen = step.rows_shown()
    if not form.is_valid():
        return step.ask(chosen)
    require_recent_sign_in(request)  # before anything is done with the first row
    if changed := step.take_with_all(chosen):
        return step.ask(changed, Conflict())
    return admin.go_back(request, admin.get_queryset(request).filter(pk__in=[row.pk for row in chosen]))


@dataclass(frozen=True)
class _Step:
    """An action while one person takes it with chosen rows."""

    admin: ListOfRows
    request: HttpRequest
    action: StaffAction
    form: forms.Form

    # --- Shown --------------------------------------------------------------------------------------------------------

    def ask(self, rows: Sequence[Any], conflict: Conflict | None = None) -> HttpResponse:
        """The page that says what it comes to for each of these, and asks for a yes."""
        if len(rows) > self.action.most:
            self._say(f"Choose at most {self.action.most} at once. Nothing was done.", messages.ERROR)
            return HttpResponseRedirect(self.request.get_full_path())
        previews = [(row, self.action.preview(self.request, row)) for row in rows]
        shown = [(row, preview, self._offer(row, preview)) for row, preview in previews]
        possible = [preview for _row, preview in previews if preview.is_possible]
        context = {
            "rows": shown,
            "totals": _add_up(possible) if len(possible) > 1 else [],
            "can_go_on": bool(possible),
            "action": self.action,
            "form": self.form,
            "conflict": conflict,
            "kept": [(name, self.request.POST.get(name, "")) for name in ("action", "from_record")],
            "checkbox": ACTION_CHECKBOX_NAME,
        }
        return self.admin.show_page(self.request, "admin/confirm_rows.html", self.action.title, **context)

    def _offer(self, row: Any, preview: RowPreview) -> str:
        if not preview.is_possible:
            return ""
        return agreements.offer(self.request, self.action.name, row, _fingerprint_of(row, preview))

    # --- Taken, once --------------------------------------------------------------------------------------------------

    def rows_shown(self) -> list[Any]:
        """The rows that the page could be said yes to, also those that are no longer in the list as it is filtered."""
        field = f"{agreements.FIELD}-"
        named = [name.removeprefix(field) for name in self.request.POST if name.startswith(field)]
        keys = [key for name in named if (key := read_key(name)) is not None]
        found = {row.pk: row for row in self.admin.get_queryset(self.request).filter(pk__in=keys)}
        return [found[key] for key in keys if key in found]

    def take_with_all(self, rows: Iterable[Any]) -> list[Any]:
        """Take the action with each row, and say what came of it; the rows that are not any more as they were shown."""
        done: list[str] = []
        repeats: list[str] = []
        changed: list[Any] = []
        for row in rows:
            try:
                done.append(self._take_once(row).words)
            except agreements.Repeated as repeat:
                repeats.append(repeat.words)
            except Conflict:
                changed.append(row)
            except Refused as refusal:
                self._say(f"{row}: {refusal}", messages.ERROR)
        if done:
            self._say(done[0] if len(done) == 1 else self.action.say(len(done)), messages.SUCCESS)
        if repeats:
            self._say(repeats[0] if len(repeats) == 1 else f"{REPEATED} {self.action.say(len(repeats))}", messages.INFO)
        return changed

    def _take_once(self, row: Any) -> agreements.Outcome:
        """Raises Refused, Conflict, or agreements.Repeated."""
        action, request, field = self.action, self.request, f"{agreements.FIELD}-{row.pk}"
        agreements.raise_if_done(request, action.name, row, field=field)  # before anybody is asked anything
        action.before(request, row)
        with agreements.once(request, action.name, row, field=field) as promise:
            fresh = action.lock(request, row)
            promise.check(_fingerprint_of(fresh, action.preview(request, fresh)))
            words = action.run(request, fresh, self.form.cleaned_data.get("note", ""))
            outcome = promise.conclude(words, path_of(row))
        action.after(request, row)
        return outcome

    def _say(self, words: str, level: int) -> None:
        self.admin.message_user(self.request, words, level)


def _fingerprint_of(row: Any, preview: RowPreview) -> str:
    return agreements.fingerprint_of(str(row), preview.sentences, preview.facts, preview.sums)


def _add_up(previews: Iterable[RowPreview]) -> list[str]:
    """A sentence for each sum, such as `In all, £12.00 goes back to the card.`"""
    sums: dict[str, Decimal] = {}
    for preview in previews:
        for becomes, amount in preview.sums.items():
            sums[becomes] = sums.get(becomes, Decimal("0.00")) + amount
    return [f"In all, {in_words(amount)} {becomes}." for becomes, amount in sums.items() if amount]
