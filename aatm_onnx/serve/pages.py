"""The page for people, the API's page, and the API's description: static files, without outside resources."""

from collections.abc import Awaitable, Callable
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

SEARCH = "/search"  # of a server with a vocabulary
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": _POLICY, "referrer-policy": "no-referrer", "cache-control": "no-cache"}
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


class Pages:
    """Serves files of this package, read once."""

    def __init__(self, search: bool = False) -> None:
        """Read them; `search` gives the page its box over a vocabulary."""
        here = files(__package__)
        self._files = {file.name: file.read_bytes() for file in (here / "page").iterdir() if file.is_file()}
        box = self._files.pop("search.html")
        self._files["index.html"] = self._files["index.html"].replace(b"    <!-- search -->\n", box if search else b"")
        self._files["openapi.json"] = (here / "openapi.json").read_bytes()

    def routes(self) -> list[Route]:
        """Where each is."""
        assets = [name for name in self._files if not name.endswith((".html", ".json"))]
        return [
            Route("/", self._page("index.html")),
            Route("/docs", self._page("docs.html")),
            Route("/openapi.json", self._page("openapi.json")),
            Route("/favicon.ico", self._page("icon.svg")),
            *(Route(f"/page/{name}", self._page(name)) for name in assets),
        ]

    def _page(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        content, media_type = self._files[name], _TYPES[name[name.rindex(".") :]]

        async def page(request: Request) -> Response:
            return Response(content, media_type=media_type, headers=_HEADERS)

        return page
