"""A real Chromium without a window, driven over the DevTools protocol through a pipe: no driver, no port, no package.

Where the machine has no Chromium the tests that need it are skipped, with the reason.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next((found for name in _NAMES if (found := shutil.which(name))), None)
PATIENCE = 30.0
KEYS = {"Enter": ("\r", 13), "Escape": ("", 27), "ArrowLeft": ("", 37), "ArrowUp": ("", 38), "ArrowRight": ("", 39),
        "ArrowDown": ("", 40), "Tab": ("", 9), " ": (" ", 32)}


def require_chromium() -> None:
    """Skip the whole module, in one line with the reason, where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: the review page is not looked at (Debian: apt-get install chromium)",
                    allow_module_level=True)


class Page:
    """One page of a browser, with everything that it asked for and complained about."""

    def __init__(self, send: Callable[..., dict[str, Any]], pump: Callable[[float], None]) -> None:
        self.send = send
        self._pump = pump
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.loads = 0

    def heard(self, method: str, params: Mapping[str, Any]) -> None:
        """An event of the browser's."""
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(str([argument.get("value") for argument in params["args"]]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
        elif method == "Page.loadEventFired":
            self.loads += 1
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append(f"dialog: {params['message']}")

    def open(self, path: Path, *, fragment: str = "") -> float:
        """Open a file; returns the seconds until it was drawn."""
        before, begun = self.loads, time.monotonic()
        self.send("Page.navigate", url=path.resolve().as_uri() + fragment)
        self.until(lambda: self.loads > before)
        self.run("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        return time.monotonic() - begun

    def run(self, script: str) -> Any:
        """The value of an expression in the page; of a promise, what it comes to."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, ready: Callable[[], Any] | str, *, patience: float = PATIENCE) -> Any:
        """Wait until a condition (an expression of the page's, or a function) is true, and return what it says."""
        deadline = time.monotonic() + patience
        while True:
            value = self.run(ready) if isinstance(ready, str) else ready()
            if value:
                return value
            assert time.monotonic() < deadline, f"it never came to be: {ready}"
            self._pump(0.02)

    def press(self, *keys: str) -> None:
        """Press and release keys, one after the other."""
        for key in keys:
            text, code = KEYS.get(key, (key, ord(key.upper()[0])))
            common = {"key": key, "windowsVirtualKeyCode": code, "code": "Space" if key == " " else key}
            self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
            self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    def size(self, width: int, height: int, *, scale: float = 1, mobile: bool = False) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile)

    def prefer(self, **features: str) -> None:
        """Media features, such as `prefers_color_scheme="dark"`."""
        self.send("Emulation.setEmulatedMedia",
                  features=[{"name": name.replace("_", "-"), "value": value} for name, value in features.items()])

    def shoot(self, to: Path, *, whole: bool = False) -> None:
        """A picture of what is seen, or of the whole page."""
        answer = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        to.write_bytes(base64.b64decode(answer["data"]))

    def pdf(self) -> bytes:
        answer = self.send("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        return base64.b64decode(answer["data"])

    def names(self) -> list[tuple[str, str]]:
        """Role and name of everything that assistive technology is told of."""
        nodes = self.send("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes
                if not node.get("ignored") and "role" in node]


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A browser with an empty profile in `folder`, and one page of it."""
    assert CHROMIUM is not None
    to_browser, ours_out = os.pipe()
    ours_in, from_browser = os.pipe()

    def wire() -> None:  # in the child: the protocol's pipe is descriptors 3 and 4
        low, high = os.dup(to_browser), os.dup(from_browser)
        os.dup2(low, 3)
        os.dup2(high, 4)
        for number in (3, 4):
            os.set_inheritable(number, True)

    ran = subprocess.Popen(
        [CHROMIUM, "--headless=new", "--remote-debugging-pipe", f"--user-data-dir={folder}", "--no-first-run", "--no-sandbox",
         "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio", "--hide-scrollbars", "--disable-background-networking",
         "--disable-component-update", "--disable-default-apps", "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND",
         "about:blank"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=wire, close_fds=False,
        env={**os.environ, "HOME": str(folder)})
    os.close(to_browser)
    os.close(from_browser)
    waiting: dict[int, dict[str, Any]] = {}
    state: dict[str, Any] = {"number": 0, "rest": b"", "page": None, "session": None}

    def pump(seconds: float) -> None:
        if not select.select([ours_in], [], [], seconds)[0]:
            return
        chunk = os.read(ours_in, 1 << 20)
        assert chunk, "the browser has gone"
        *whole, state["rest"] = (state["rest"] + chunk).split(b"\0")
        for text in whole:
            message = json.loads(text)
            if "id" in message:
                waiting[message["id"]] = message
            elif state["page"] is not None and message.get("sessionId") == state["session"]:
                state["page"].heard(message["method"], message.get("params", {}))

    def send(method: str, **params: Any) -> dict[str, Any]:
        state["number"] += 1
        number, session = state["number"], {"sessionId": state["session"]} if state["session"] else {}
        os.write(ours_out, json.dumps({"id": number, "method": method, "params": params, **session}).encode() + b"\0")
        deadline = time.monotonic() + 4 * PATIENCE
        while number not in waiting:
            assert time.monotonic() < deadline, f"no answer to {method}"
            pump(0.5)
        answer = waiting.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        result: dict[str, Any] = answer["result"]
        return result

    try:
        target = send("Target.createTarget", url="about:blank")["targetId"]
        state["session"] = send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = state["page"] = Page(send, pump)
        for domain in ("Page", "Runtime", "Network", "Log"):
            send(f"{domain}.enable")
        page.size(1280, 900)
        yield page
    finally:
        with suppress(OSError, AssertionError):
            state["session"] = None
            send("Browser.close")
        try:
            ran.wait(10)
        except subprocess.TimeoutExpired:
            ran.kill()
            ran.wait()
        os.close(ours_out)
        os.close(ours_in)
