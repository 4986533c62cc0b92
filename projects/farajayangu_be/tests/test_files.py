"""A picture through the server that `make run` starts: real HTTP from the first byte on."""

from __future__ import annotations

import os
import zlib
from struct import pack

import httpx

from .conftest import Server


def make_png(*, kilobytes: int) -> bytes:
    """Return a valid image of noise, which no compression makes small."""
    width = 1024
    rows = b"".join(b"\0" + os.urandom(width) for _ in range(kilobytes))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))

    header = pack(">IIBBBBB", width, kilobytes, 8, 0, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body


def sign_in(server: Server) -> httpx.Client:
    words = server.running.output.split()
    password = words[words.index("password") + 1]
    api = f"{server.base_url}/api/v1/"
    form = {"identifier": "demo@example.com", "password": password, "transport": "token"}
    login = httpx.post(f"{api}auth/login/", json=form, timeout=30, trust_env=False)
    access = login.json()["data"]["access"]
    headers = {"Authorization": f"Bearer {access}"}
    return httpx.Client(base_url=api, headers=headers, timeout=30, trust_env=False)


def test_a_picture_of_three_megabytes_is_sent_and_shown(dev_server: Server):
    """More than the body of any call may have, and so not through one of ours."""
    picture = make_png(kilobytes=3 * 1024)
    announcement = {
        "filename": "asha.png",
        "content_type": "image/png",
        "size": len(picture),
        "purpose": "avatar",
    }
    with sign_in(dev_server) as client:
        announced = client.post("uploads/", json=announcement).json()["data"]
        how = announced["send"]
        sent = httpx.request(
            how["method"], how["url"], headers=how["headers"], content=picture, timeout=30
        )
        assert sent.status_code == 201, sent.text
        completed = client.post(f"uploads/{announced['uid']}/complete/")
        assert completed.status_code == 200, completed.text

        me = client.patch("accounts/me/", json={"avatar": announced["uid"]}).json()["data"]

        assert httpx.get(me["avatar"], timeout=30).content == picture
        assert client.patch("accounts/me/", json={"avatar": None}).json()["data"]["avatar"] is None
