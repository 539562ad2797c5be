"""What the pages on this machine have in common: who may ask, how they are sent, and whose answers
they take. `rating.py` and `curation_page.py` are such pages."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, unquote

import typer
import uvicorn
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from operations.ballot import MAX_RATER, read_rater

HOST = "127.0.0.1"
COOKIE, COOKIE_SECONDS = "rater", 365 * 24 * 3600
MAX_BODY = 4096  # bytes; the longest form is a reason of 200 characters
TEMPLATES = Path(__file__).parent / "templates"
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # `no-referrer` would make a form's Origin null
    "X-Content-Type-Options": "nosniff",
}
Handler = Callable[[Request], Awaitable[Response]]
Port = Annotated[int, typer.Option(min=1, max=65_535, help="On 127.0.0.1.")]


class Pages:
    """Pages of one template, which tells its views apart; `name` and `refusal` are in page.html.

    Args:
        template: Its file.
        filters: By the names that the template knows them by.
    """

    def __init__(self, template: str, filters: dict[str, Callable[..., Any]] | None = None):
        jinja = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined
        )
        jinja.filters |= filters or {}
        self._template = jinja.get_template(template)

    def show(self, view: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """One view. Nothing but its own style and script runs in it."""
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; img-src 'self' data:; style-src 'nonce-{nonce}'; "
            f"script-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        )
        text = self._template.render(view=view, nonce=nonce, **values)
        return HTMLResponse(text, status, HEADERS | {"Content-Security-Policy": policy})

    def application(
        self,
        routes: Sequence[Route],
        faults: dict[type[Exception], Callable[[Exception], tuple[int, str]]] | None = None,
    ) -> Starlette:
        """These routes, and the form that asks for a name.

        Args:
            routes: Beside `/name`.
            faults: Errors, with the status and the line that the page says of them.
        """

        async def refuse(_: Request, error: Exception) -> Response:
            if isinstance(error, HTTPException):
                status, reason = error.status_code, error.detail
            else:
                known = next(one for one in type(error).__mro__ if one in (faults or {}))
                status, reason = (faults or {})[known](error)
            return self.show("refusal", status=status, reason=reason)

        return Starlette(
            routes=[
                *routes,
                Route("/name", self._ask_name),
                Route("/name", self._take_name, methods=["POST"]),
            ],
            # a site that points its own name at this machine is refused by its host
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
            exception_handlers=dict.fromkeys([HTTPException, *(faults or {})], refuse),
        )

    async def _ask_name(self, request: Request) -> Response:
        return self.show("name", person=person(request) or "", longest=MAX_RATER, fault="")

    async def _take_name(self, request: Request) -> Response:
        value = (await form(request)).get("name", "")
        try:
            name = read_rater(value)
        except ValueError as error:
            shown = value[:MAX_RATER]
            return self.show("name", status=400, person=shown, longest=MAX_RATER, fault=str(error))
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE, quote(name), max_age=COOKIE_SECONDS, httponly=True, samesite="lax"
        )
        return response


def run(application: Starlette, what: str, port: int) -> None:
    """Serves pages until Ctrl-C."""
    print(f"{what}: http://{HOST}:{port}", flush=True)
    uvicorn.run(application, host=HOST, port=port, log_level="warning", access_log=False)


def person(request: Request) -> str | None:
    """The name that the browser keeps, where it is one."""
    try:
        return read_rater(unquote(request.cookies.get(COOKIE, ""), errors="strict"))
    except ValueError:
        return None


async def form(request: Request) -> dict[str, str]:
    """The fields of a form that this very page has sent.

    Raises:
        HTTPException: sent by another site, too large, or no form.
    """
    if request.headers.get("origin") != f"http://{request.headers.get('host')}":
        raise HTTPException(403, "This was not sent by this page.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, "This is too long.")
    try:
        return dict(parse_qsl(body.decode("ascii"), max_num_fields=8, errors="strict"))
    except ValueError:
        raise HTTPException(400, "This is no form.") from None
