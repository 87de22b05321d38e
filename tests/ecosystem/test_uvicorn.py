"""uvicorn, told on its command line to use rsloop."""

import http.client
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")

APPLICATION = """
import asyncio
import rsloop

async def application(scope, receive, send):
    assert scope["type"] == "http"
    loop = asyncio.get_running_loop()
    assert isinstance(loop, rsloop.Loop)
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    await asyncio.sleep(0)
    answer = type(loop).__name__.encode() + b" " + body.upper()
    headers = [(b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
"""


def test_requests_are_answered_and_sigterm_ends_it(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(APPLICATION)
    command = [sys.executable, "-m", "uvicorn", "--loop", "rsloop:new_event_loop"]
    options = ["--lifespan", "off", "--port", "0", "--app-dir", str(tmp_path)]
    with subprocess.Popen(
        [*command, *options, "served:application"], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr
        log = []
        try:
            for line in server.stderr:
                log.append(line)
                if found := re.search(r"running on http://127\.0\.0\.1:(\d+)", line):
                    break
            else:
                pytest.fail("".join(log))
            connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=30)
            for number in range(50):
                # All on one kept-alive connection.
                connection.request("POST", "/", body=f"request {number}")
                response = connection.getresponse()
                assert response.status == 200
                assert response.read() == f"Loop REQUEST {number}".encode()
            connection.close()
            server.send_signal(signal.SIGTERM)
            log.extend(server.stderr)
        finally:
            server.kill()
        text = "".join(log)
        assert "Finished server process" in text, text
        assert "Traceback" not in text
