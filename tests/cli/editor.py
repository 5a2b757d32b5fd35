"""The least of an editor: a client of the real yaml-language-server, over its standard input and output."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from pathlib import Path
from queue import Empty, Queue
from typing import Any

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / ".editors" / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
"""Where `make editors` puts it."""

_PATIENCE = 60.0


def server() -> list[str] | None:
    """The command that runs the server; None where it is not installed."""
    if shutil.which("node") is None:
        return None
    found = str(INSTALLED) if INSTALLED.is_file() else shutil.which("yaml-language-server")
    return None if found is None else ["node", found, "--stdio"] if found == str(INSTALLED) else [found, "--stdio"]


class Editor:
    """One server, and files that are open in it."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._came: Queue[dict[str, Any]] = Queue()
        self._number = 0
        self._versions: dict[str, int] = {}
        threading.Thread(target=self._listen, daemon=True).start()
        self.ask("initialize", {"processId": None, "rootUri": ROOT.as_uri(), "capabilities": {
            "textDocument": {"completion": {"completionItem": {"snippetSupport": True}}}, "workspace": {"configuration": True}},
            "workspaceFolders": [{"uri": ROOT.as_uri(), "name": "here"}]})
        self.tell("initialized", {})

    def close(self) -> None:
        self.ask("shutdown", None)
        self.tell("exit", None)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
        self._process.wait(timeout=_PATIENCE)
        assert self._process.stdin is not None
        self._process.stdin.close()

    def mistakes(self, path: Path, text: str) -> list[dict[str, Any]]:
        """Show the server this text as that of the file at `path`, and wait for what it finds wrong with it."""
        uri, version = path.as_uri(), self._versions.get(path.as_uri(), 0) + 1
        self._versions[uri] = version
        document = {"uri": uri, "version": version}
        if version == 1:
            self.tell("textDocument/didOpen", {"textDocument": {**document, "languageId": "yaml", "text": text}})
        else:
            self.tell("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})
        while True:
            message = self._next()
            if message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == uri:
                found: list[dict[str, Any]] = message["params"]["diagnostics"]
                return found

    def completions(self, path: Path, line: int, column: int) -> dict[str, str]:
        """What may be typed there: label → the text that would be put in."""
        answer = self.ask("textDocument/completion", _at(path, line, column))
        items = answer["items"] if isinstance(answer, dict) else answer
        return {item["label"]: item.get("textEdit", {}).get("newText", item.get("insertText", "")) for item in items}

    def hover(self, path: Path, line: int, column: int) -> str:
        answer = self.ask("textDocument/hover", _at(path, line, column))
        return "" if answer is None else str(answer["contents"]["value"])

    def ask(self, method: str, parameters: Any) -> Any:
        self._number += 1
        number = self._number
        self._send({"id": number, "method": method, "params": parameters})
        while True:
            message = self._next()
            if message.get("id") == number and "method" not in message:
                assert "error" not in message, message
                return message["result"]

    def tell(self, method: str, parameters: Any) -> None:
        self._send({"method": method, "params": parameters})

    def _next(self) -> dict[str, Any]:
        """The next message that is for us; what the server asks is answered."""
        while True:
            try:
                message = self._came.get(timeout=_PATIENCE)
            except Empty:
                raise TimeoutError("the language server is silent") from None
            if "id" not in message or "method" not in message:
                return message
            asked = message["params"].get("items", []) if message["method"] == "workspace/configuration" else []
            settings = {"yaml": {"schemaStore": {"enable": False}, "hover": True, "completion": True, "validate": True}}
            self._send({"id": message["id"], "result": [settings.get(item.get("section"), {}) for item in asked] or None})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self._process.stdin.flush()

    def _listen(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        with stream:
            while header := stream.readline():
                length = int(header.split(b":")[1]) if header.lower().startswith(b"content-length") else 0
                if length:
                    while stream.readline().strip():
                        pass
                    self._came.put(json.loads(stream.read(length)))


def _at(path: Path, line: int, column: int) -> dict[str, Any]:
    """A place, line and column from 1, as a language server wants it."""
    return {"textDocument": {"uri": path.as_uri()}, "position": {"line": line - 1, "character": column - 1}}
