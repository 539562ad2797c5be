"""A page on this machine where people rate, blind: which of two pictures is better (`ballot.py`),
whether a product belongs in a collection (`sheet.py`)."""

from pathlib import Path
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from operations import pages
from operations.ballot import Ballot, destination, take_pairs
from operations.pages import HEADERS, Pages, form, person
from resources.lake import Lake


class Question(Protocol):
    """What one rater is shown. `key` stands for it, and tells nothing."""

    @property
    def key(self) -> str: ...

    @property
    def pictures(self) -> dict[str, str]:
        """Side -> name of the picture there."""
        ...


class Questions(Protocol):
    """What people rate.

    Attributes:
        template: That shows a question.
        media: Type of the pictures.
    """

    template: str
    media: str

    def shown(self, rater: str, /) -> list[Any]:
        """All questions in this rater's order."""
        ...

    def remaining(self, rater: str, /) -> list[Any]:
        """Those that this rater has not answered."""
        ...

    def find(self, rater: str, key: str, /) -> Any:
        """One of the rater's questions; KeyError where it is none of them."""
        ...

    def picture(self, name: str, /) -> bytes:
        """The file of a picture."""
        ...

    def vote(self, rater: str, key: str, choice: str, /) -> None:
        """Keeps an answer; KeyError: no question or choice; OSError: it cannot be written."""
        ...

    def result(self) -> Any:
        """All answers, added up; str() says it in a sentence."""
        ...


def serve(studio: Path, lake: Lake, objective: str, *, count: int, port: int) -> None:
    """Serves pairs of an objective's evaluation until Ctrl-C, then prints the result.

    Raises:
        SystemExit: there is nothing to rate, or nowhere for votes to go.
        MissingPartition: the objective has not been evaluated.
    """
    _, images = destination(studio)
    pairs = take_pairs(lake, objective, images, count)
    if not pairs:
        raise SystemExit(f"rl_evaluation of {objective} holds no two pictures to compare")
    ballot = Ballot(studio, pairs)
    run(ballot, f"{len(pairs)} pairs of {objective} to rate", port)


def run(ballot: Questions, what: str, port: int) -> None:
    """Serves the page until Ctrl-C, then prints the result."""
    pages.run(application(ballot), what, port)
    print(ballot.result(), flush=True)


def application(ballot: Questions) -> Starlette:
    """The page over a ballot. Where a picture comes from never leaves this process."""
    page = Pages(ballot.template)

    async def show_pair(request: Request) -> Response:
        rater = person(request)
        if rater is None:
            return RedirectResponse("/name", 303)
        remaining, total = ballot.remaining(rater), len(ballot.shown(rater))
        if not remaining:
            return page.show("done", person=rater, total=total)
        shown, number = remaining[0], total - len(remaining) + 1
        return page.show("question", person=rater, shown=shown, number=number, total=total)

    async def take_vote(request: Request) -> Response:
        told, rater = await form(request), person(request)
        if rater is None:
            return RedirectResponse("/name", 303)
        try:
            ballot.vote(rater, told.get("pair", ""), told.get("choice", ""))
        except KeyError:
            raise HTTPException(400, "That was no vote on what you were shown.") from None
        except OSError as error:
            raise HTTPException(503, f"Your vote could not be written: {error.strerror}.") from None
        if not ballot.remaining(rater):
            print(f"{rater} has finished: {ballot.result()}", flush=True)
        return RedirectResponse("/", 303)

    async def send_picture(request: Request) -> Response:
        rater, side = person(request), request.path_params["side"]
        try:
            shown = ballot.find(rater or "", request.path_params["key"])
            name = shown.pictures[side]
        except KeyError:
            raise HTTPException(404, "There is no such picture.") from None
        return Response(ballot.picture(name), media_type=ballot.media, headers=HEADERS)

    async def show_result(request: Request) -> Response:
        rater = person(request)
        if rater is None or ballot.remaining(rater):
            raise HTTPException(403, "The result is shown after your last answer.")
        return page.show("result", result=ballot.result())

    return page.application(
        [
            Route("/", show_pair),
            Route("/vote", take_vote, methods=["POST"]),
            Route("/picture/{key}/{side}", send_picture),
            Route("/result", show_result),
        ]
    )
