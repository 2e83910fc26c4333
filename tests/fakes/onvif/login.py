"""How the fake camera checks who asks: HTTP digest, or a UsernameToken of its own time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from aiohttp import web

if TYPE_CHECKING:
    from tests.fakes.onvif_camera import OnvifCamera

SAME_TIME = timedelta(seconds=5)
REALM = "fake camera"


class Login:
    """Checks what a camera was sent."""

    def __init__(self, camera: OnvifCamera) -> None:
        self._camera = camera
        self._nonce = secrets.token_hex(8)

    def _nonce_of(self, request: web.Request) -> str:
        return self._nonce + (request.path if self._camera.binds_nonces else "")

    def challenge(self, request: web.Request) -> web.Response:
        """Return what asks for HTTP digest."""
        nonce = self._nonce_of(request)
        said = f'Digest realm="{REALM}", qop="auth", nonce="{nonce}", algorithm=MD5'
        response = web.Response(status=401)
        if self._camera.offers_basic:
            response.headers.add("WWW-Authenticate", f'Basic realm="{REALM}"')
        response.headers.add("WWW-Authenticate", said)
        return response

    def is_token_right(self, envelope: ElementTree.Element) -> bool:
        """Return whether a UsernameToken is signed by the password, now."""
        texts = {element.tag.rpartition("}")[2]: element.text or "" for element in envelope.iter()}
        if texts.get("Username") != self._camera.user:
            return False
        created = datetime.fromisoformat(texts["Created"])
        if abs(created - self._camera.clock) > SAME_TIME:
            return False
        signed = base64.b64decode(texts["Nonce"]) + texts["Created"].encode()
        made = hashlib.sha1(signed + self._camera.password.encode()).digest()
        return hmac.compare_digest(base64.b64encode(made).decode(), texts["Password"])

    def is_digest_right(self, request: web.Request) -> bool:
        """Return whether a request has the right HTTP digest."""
        header = request.headers.get("Authorization", "")
        given = {
            match[1]: match[2] or match[3]
            for match in re.finditer(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', header)
        }
        nonce = self._nonce_of(request)
        if given.get("nonce") != nonce:
            return False

        def md5(text: str) -> str:
            return hashlib.md5(text.encode()).hexdigest()

        name = md5(f"{self._camera.user}:{REALM}:{self._camera.password}")
        what = md5(f"{request.method}:{given['uri']}")
        parts = (name, nonce, given["nc"], given["cnonce"], given["qop"], what)
        return given["uri"] == request.path_qs and given["response"] == md5(":".join(parts))
