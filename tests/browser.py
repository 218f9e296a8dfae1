"""A headless Chromium, driven over a pipe by the DevTools protocol: no dependency, no port."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FOUND = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
QUIET = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe", "about:blank"),
)
# Chromium reads commands from file descriptor 3 and writes answers to 4.
_AS_3_AND_4 = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for end, number in zip(ends, (3, 4)):
    os.dup2(end, number)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """One page in a browser of its own; ``with Browser(tmp_path) as page``."""

    def __init__(self, folder: Path, timeout: float = 60.0) -> None:
        assert FOUND is not None
        read_here, self._write = os.pipe()
        self._read, write_here = os.pipe()
        ends = [str(read_here), str(write_here)]
        launch = [sys.executable, "-S", "-c", _AS_3_AND_4, *ends, FOUND]
        self._process = subprocess.Popen(
            [*launch, f"--user-data-dir={folder / 'profile'}", *QUIET],
            pass_fds=(read_here, write_here),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_here)
        os.close(write_here)
        self.timeout, self._number, self._buffer = timeout, 0, b""
        self._session: str | None = None
        self.complaints: list[str] = []  # errors, warnings and requests of the page

    def __enter__(self) -> Browser:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._write)  # at which it quits
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the DevTools protocol, and its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(
        self, path: Path, width: int = 1200, height: int = 1600, scheme: str = "light"
    ) -> None:
        """Show a file, at a window's size in CSS pixels, in the light or dark scheme."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        wanted = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=wanted)
        self.call("Page.navigate", url=path.resolve().as_uri())
        until = time.monotonic() + self.timeout
        ready = "location.protocol == 'file:' && document.readyState == 'complete'"
        while not self.value(ready):
            assert time.monotonic() < until, "the page does not load"
            time.sleep(0.02)

    def value(self, expression: str, wait: bool = False) -> Any:
        """What a JavaScript expression gives in the page; with ``wait``, what its promise does."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=wait
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        code = {"ArrowLeft": 37, "ArrowRight": 39, "Home": 36, "End": 35}[key]
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code)

    def point(self, selector: str, across: float = 0.5) -> None:
        """Move the mouse onto an element, so far from its left side."""
        self.value(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
        box = self.value(f"document.querySelector({selector!r}).getBoundingClientRect().toJSON()")
        x, y = box["x"] + across * box["width"], box["y"] + box["height"] / 2
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def screenshot(self, path: Path, whole: bool = True) -> None:
        """Write what is shown, or the page down to its end, as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _next(self) -> dict[str, Any]:
        """The next message of the browser; what the page complains of is remembered."""
        while b"\0" not in self._buffer:
            assert select.select([self._read], [], [], self.timeout)[0], "the browser is silent"
            part = os.read(self._read, 1 << 20)
            assert part, "the browser is gone"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._listen(message.get("method"), message.get("params", {}))
        return message

    def _listen(self, method: str | None, values: dict[str, Any]) -> None:
        if method in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"):
            self.complaints.append(json.dumps(values))
        if method == "Network.requestWillBeSent":
            url = values["request"]["url"]
            if not url.startswith(("data:", "file:", "about:")):
                self.complaints.append(f"request of {url}")
