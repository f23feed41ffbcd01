"""Headless Chromium, driven over its DevTools pipe with nothing but the standard library."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def executable():
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Chromium:
    """One browser with one page; ``complaints`` gathers what its console said and what it asked the network for."""

    def __init__(self, profile):
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        command = (
            f'exec "{executable()}" --headless=new --no-sandbox --disable-gpu --no-first-run --disable-extensions '
            "--disable-background-networking --disable-component-update --disable-sync "
            f'--user-data-dir="{profile}" --remote-debugging-pipe about:blank 3<&{to_browser} 4>&{from_browser}'
        )
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(
            ["bash", "-c", command], pass_fds=(to_browser, from_browser), stdin=quiet, stdout=quiet, stderr=quiet
        )
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._number = 0
        self._session = None
        self.complaints = []
        self._events = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def open(self, path, width=1280, height=900, scheme="light"):
        """Load a file, or an address, at a window's width, in a colour scheme."""
        self.ask("Page.navigate", url="about:blank")  # so that the page before can complain of nothing
        self.complaints.clear()
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.resize(width, height)
        self._events.clear()
        self.ask("Page.navigate", url=path if isinstance(path, str) else path.absolute().as_uri())
        self._wait_for("Page.loadEventFired")
        self.settle()

    def resize(self, width, height=900):
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def settle(self):
        """Wait until two frames were drawn."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def run(self, expression):
        """Return the value of a JavaScript expression."""
        found = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def key(self, name):
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=name, code=name)

    def hover(self, x, y):
        self.ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def drag(self, start, end):
        """Press, move and let go of the left button."""
        (x, y), steps = start, 6
        self.hover(x, y)
        self._mouse("mousePressed", x, y)
        for step in range(1, steps + 1):
            along = [begin + (to - begin) * step / steps for begin, to in zip(start, end, strict=True)]
            self._mouse("mouseMoved", *along)
        self._mouse("mouseReleased", *end)
        self.settle()

    def click(self, selector):
        self.run(f"document.querySelector({selector!r}).click()")
        self.settle()

    def set(self, selector, value):
        """Type into a field, or choose of a list."""
        self.run(f"""(() => {{
          const field = document.querySelector({selector!r});
          field.value = {json.dumps(value)};
          field.dispatchEvent(new Event('change')); }})()""")
        self.settle()

    def text(self, selector):
        return self.run(f"document.querySelector({selector!r}).textContent")

    def box(self, selector):
        """Left, top, width and height of an element, brought into sight; a chart that comes into sight is drawn."""
        look = f"""(async () => {{
          document.documentElement.style.scrollBehavior = 'auto';
          const element = document.querySelector({selector!r});
          const plot = element.closest('figure')?.querySelector('.plot');
          element.scrollIntoView({{block: 'center'}});
          for (let frame = 0; frame < 4; frame++) await new Promise(requestAnimationFrame);
          const {{left, top, width, height}} = element.getBoundingClientRect();
          return [!plot || !!echarts.getInstanceByDom(plot), left, top, width, height]; }})()"""
        before, end = None, time.monotonic() + 20
        while (found := self.run(look)) != before or not found[0]:  # words below what is drawn move what follows
            assert time.monotonic() < end, f"{selector} does not come to rest"
            before = found
        return found[1:]

    def until(self, expression, seconds=20):
        """Wait until an expression holds."""
        end = time.monotonic() + seconds
        while not self.run(expression):
            assert time.monotonic() < end, f"{expression} did not come to hold"
            time.sleep(0.05)

    def _mouse(self, kind, x, y):
        self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def ask(self, method, **parameters):
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def close(self):
        self._process.terminate()
        self._process.wait(20)
        os.close(self._write)
        os.close(self._read)

    def _wait_for(self, event):
        while event not in self._events:
            self._next()

    def _next(self, seconds=60):
        end = time.monotonic() + seconds
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(end - time.monotonic(), 0))
            got = os.read(self._read, 2**20) if ready else b""
            if not got:
                raise TimeoutError("Chromium does not answer")
            self._buffer += got
        line, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(line)
        self._note(message)
        return message

    def _note(self, message):
        method, found = message.get("method", ""), message.get("params", {})
        self._events.append(method)
        if method == "Runtime.exceptionThrown":
            self.complaints.append(("exception", found["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(("console", found["args"]))
        elif method == "Log.entryAdded":
            self.complaints.append(("log", found["entry"]["text"]))
        elif method == "Page.javascriptDialogOpening":
            self.complaints.append(("dialog", found["message"]))
            self._number += 1
            close = {"id": self._number, "method": "Page.handleJavaScriptDialog", "params": {"accept": False}}
            os.write(self._write, json.dumps({**close, "sessionId": self._session}).encode() + b"\0")
        elif method == "Network.requestWillBeSent" and not found["request"]["url"].startswith(
            ("file:", "data:", "blob:", "http://127.0.0.1:")
        ):
            self.complaints.append(("network", found["request"]["url"]))
