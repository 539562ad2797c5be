"""A page on this machine where people rate, blind: which of two pictures is better (`ballot.py`),
whether a product belongs in a collection (`sheet.py`)."""

import secrets
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote, unquote

import uvicorn
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from operations.ballot import MAX_RATER, Ballot, destination, read_rater, take_pairs
from resources.lake import Lake

HOST = "127.0.0.1"
COOKIE, COOKIE_SECONDS = "rater", 365 * 24 * 3600
MAX_BODY = 4096  # bytes; the longest form is a name of 64 characters
TEMPLATES = Path(__file__).parent / "templates"
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # `no-referrer` would make a form's Origin null
    "X-Content-Type-Options": "nosniff",
}


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
    print(f"{what}: http://{HOST}:{port}", flush=True)
    uvicorn.run(application(ballot), host=HOST, port=port, log_level="warning", access_log=False)
    print(ballot.result(), flush=True)


def application(ballot: Questions) -> Starlette:
    """The page over a ballot. Where a picture comes from never leaves this process."""
    jinja = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    template = jinja.get_template(ballot.template)

    def page(view: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; img-src 'self' data:; style-src 'nonce-{nonce}'; "
            f"script-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        )
        text = template.render(view=view, nonce=nonce, **values)
        return HTMLResponse(text, status, HEADERS | {"Content-Security-Policy": policy})

    async def show_pair(request: Request) -> Response:
        rater = _rater(request)
        if rater is None:
            return RedirectResponse("/name", 303)
        remaining, total = ballot.remaining(rater), len(ballot.shown(rater))
        if not remaining:
            return page("done", rater=rater, total=total)
        shown, number = remaining[0], total - len(remaining) + 1
        return page("question", rater=rater, shown=shown, number=number, total=total)

    async def ask_name(request: Request) -> Response:
        return page("name", rater=_rater(request) or "", longest=MAX_RATER, fault="")

    async def take_name(request: Request) -> Response:
        value = (await _form(request)).get("name", "")
        try:
            name = read_rater(value)
        except ValueError as error:
            shown = value[:MAX_RATER]
            return page("name", status=400, rater=shown, longest=MAX_RATER, fault=str(error))
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE, quote(name), max_age=COOKIE_SECONDS, httponly=True, samesite="lax"
        )
        return response

    async def take_vote(request: Request) -> Response:
        form, rater = await _form(request), _rater(request)
        if rater is None:
            return RedirectResponse("/name", 303)
        try:
            ballot.vote(rater, form.get("pair", ""), form.get("choice", ""))
        except KeyError:
            raise HTTPException(400, "That was no vote on what you were shown.") from None
        except OSError as error:
            raise HTTPException(503, f"Your vote could not be written: {error.strerror}.") from None
        if not ballot.remaining(rater):
            print(f"{rater} has finished: {ballot.result()}", flush=True)
        return RedirectResponse("/", 303)

    async def send_picture(request: Request) -> Response:
        rater, side = _rater(request), request.path_params["side"]
        try:
            shown = ballot.find(rater or "", request.path_params["key"])
            name = shown.pictures[side]
        except KeyError:
            raise HTTPException(404, "There is no such picture.") from None
        return Response(ballot.picture(name), media_type=ballot.media, headers=HEADERS)

    async def show_result(request: Request) -> Response:
        rater = _rater(request)
        if rater is None or ballot.remaining(rater):
            raise HTTPException(403, "The result is shown after your last answer.")
        return page("result", rater=rater, result=ballot.result())

    async def refuse(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return page("refusal", status=error.status_code, reason=error.detail)

    return Starlette(
        routes=[
            Route("/", show_pair),
            Route("/name", ask_name),
            Route("/name", take_name, methods=["POST"]),
            Route("/vote", take_vote, methods=["POST"]),
            Route("/picture/{key}/{side}", send_picture),
            Route("/result", show_result),
        ],
        # a site that points its own name at this machine is refused by its host
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
        exception_handlers={HTTPException: refuse},
    )


def _rater(request: Request) -> str | None:
    """The name that the browser keeps, where it is one."""
    try:
        return read_rater(unquote(request.cookies.get(COOKIE, ""), errors="strict"))
    except ValueError:
        return None


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form that this very page has sent.

    Raises:
        HTTPException: sent by another site, too large, or no form.
    """
    if request.headers.get("origin") != f"http://{request.headers.get('host')}":
        raise HTTPException(403, "This was not sent by the rating page.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, "This is too long.")
    try:
        return dict(parse_qsl(body.decode("ascii"), max_num_fields=8, errors="strict"))
    except ValueError:
        raise HTTPException(400, "This is no form.") from None
