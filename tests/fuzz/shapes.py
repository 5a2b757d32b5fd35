"""Trees that stand for YAML and JSON, what hostile hands put into them, and how they are written down.

A mapping is a `Pairs`, a list of [key, value], so that a key can stand in it twice; `Raw` is text that is written as it is, so
that anchors, tags and things that are no YAML at all can stand anywhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(slots=True)
class Raw:
    """Text that is written as it is."""

    text: str


class Pairs(list[list[Any]]):
    """A mapping, in order, keys as often as they come."""


ODD = ("\x00", "\x1b[2J", "\x1b]0;x\x07", "\x7f", "\x9b31m", "\u202e", "\u2066", "\ufeff", "\u200b", "\u2028", "\ud800",
       "\udcff",
       "\ufffe", "é", "e\u0301", "\u0130", "\u1e9e", "\U0001f9ff\u200d\U0001f525", "\u0915\u094d\u200d", "٣", "\u3000", "\t",
       "\r",
       "\n", "\r\n", "%0a::error::", "<<<<<<< ", "\\", '"', "'", "`", "|", "\u0085", "\U000e0041", "\u00ad", "\u115f")
"""Characters and sequences that terminals, editors, CI and parsers treat in their own way."""

NUMBERS = ("0", "-0", "-1", "1e308", "1e309", "-1e999", ".inf", "-.INF", ".nan", "1" * 400, "9" * 20, "9" * 5000,
           "0x" + "f" * 40,
           "0o777", "0777", "1_000", "16:9", "190:20:30", "1e-400", "4.9e-324", "0.1e1", "+5", ".5", "5.", "2026-11-22", "1e5",
           "15.0",
           "15.000000000000001", "1e2147483648", "٣")

WORDS = ("no", "yes", "on", "off", "null", "~", "Null", "true", "TRUE", "=", "<<", "", " ", "-", "---", "...", "?", "!", "&",
         "*", "@x",
         "%TAG ! x", "{{", "}}", "{%", "{{ hero }}", "{{ nobody }}", "{{ hero", "{{ hero }}{{ look }}", "{# #}", "{{ }}",
         "{{ shot }}",
         "../../etc/passwd", "/etc/passwd", "C:\\x", "\\\\host\\share", "con", "NUL.mp4", "aux", "a/../../b", ".git/config",
         "file:///etc/passwd", "http://169.254.169.254/", "https://u:p@h/x.png", "http://[::1]/", "data:image/png;base64,AAAA",
         "__proto__", "constructor", "$ref", "a" * 65, "x" * 4001)

RAWS = ("!!python/object/apply:os.system [id]", "!!binary aGVsbG8=", "!!set {a, b}", "!!omap [a: 1]", "!custom x", "!!str 5",
        "!!int x",
        "&a x", "*a", "*nobody", "&a [*a]", "{<<: *a}", "<<: {a: 1}", "? [a, b] : c", "{{ hero }}", "{% raw %}", "[", "]", "{",
        "}",
        "[[[[[[[[[[", "'", '"', '"\\0"', '"\\x1b[31m"', '"\\u202e"', '"\\ud800"', '"\\U00110000"', "|\n", ">-\n", "--- \n",
        "...\n",
        "%YAML 1.1\n---\n", "- - - - -", "a: b: c", "\t", "@", "`x`", "# ", "{a: 1, a: 2}", "[1, , 2]",
        "!<tag:yaml.org,2002:str> x",
        "2: {3: 4}", "[a, b]: c", "{? : x}", "*a : b", "&a &b x", "{\"a\":1}", "?", ":", "&", "=")


def number(random: Random) -> Any:
    return random.choice((0, 1, -1, 2, 5, 10, 15, 16, 50, 51, 1000, 2**31, 2**63, 10**19, 10**20, 0.5, -0.0, 1e300, 4.99, 3.5,
                          random.randint(-20, 20), random.random() * 20))


def hostile(random: Random, depth: int = 0) -> Any:
    """A value that nobody expects at any place."""
    draw = random.random()
    if draw < 0.2:
        return Raw(random.choice(NUMBERS))
    if draw < 0.4:
        return random.choice(WORDS)
    if draw < 0.55:
        return Raw(random.choice(RAWS))
    if draw < 0.7:
        return odd_text(random)
    if draw < 0.78:
        return random.choice((None, True, False, [], Pairs(), [[]], [None], Pairs([["", None]]), Pairs([["a", Pairs()]])))
    if draw < 0.82:
        return long_text(random)
    if draw < 0.86:
        deep = random.choice((3, 10, 60, 63, 64, 65, 66, 200, 1000, 30000 if random.random() < 0.2 else 2000))
        opener, closer = random.choice((("[", "]"), ("{a: ", "}"), ("[{b: ", "}]")))
        return Raw(opener * deep + (closer * deep if random.random() < 0.7 else ""))
    if draw < 0.9:
        return Raw(bomb(random))
    if draw < 0.95 or depth > 3:
        return number(random)
    if random.random() < 0.5:
        return [hostile(random, depth + 1) for _ in range(random.randint(0, 4))]
    return Pairs([[random.choice(("shot", "frame", "type", "move", "a", "in", "<<", "id")), hostile(random, depth + 1)]
                  for _ in range(random.randint(0, 4))])


def odd_text(random: Random) -> str:
    parts = [random.choice((*ODD, "rain ", "on the rails", "{{ hero }}", "SH0010")) for _ in range(random.randint(1, 6))]
    return "".join(parts)


def long_text(random: Random) -> str:
    length = random.choice((100, 2500, 2501, 10_000, 100_000 if random.random() < 0.3 else 3000))
    return random.choice(("x", "rain ", "é", "\U0001f9ff", "{", "{{", "a-", "1", " ", "{{ hero }}", "((((",
                          "\\")) * (length // 2)


def bomb(random: Random) -> str:
    """Aliases that multiply, in one flow value."""
    width, depth = random.choice(((2, 4), (9, 5), (9, 9), (50, 8)))
    parts = ["&l0 x"] + [f"&l{n} [{', '.join([f'*l{n - 1}'] * width)}]" for n in range(1, depth)]
    return f"[{', '.join(parts)}]"


def slots(tree: Any) -> list[tuple[Any, int, int]]:
    """Every place in a tree where a value stands: (container, index, 1 for the value of a pair and -1 for an item)."""
    found: list[tuple[Any, int, int]] = []
    todo = [tree]
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(value, Pairs):
                    found.append((value, index, 1))
                    todo.append(item[1])
                else:
                    found.append((value, index, -1))
                    todo.append(item)
    return found


def mutate(random: Random, tree: Any, times: int, poison: Callable[[Random], Any] = hostile) -> Any:
    """Change a tree in place, `times` times; the tree itself may be replaced."""
    for _ in range(times):
        places = slots(tree)
        if not places or random.random() < 0.005:
            return poison(random)
        container, index, kind = random.choice(places)
        pair = kind == 1
        value = container[index][1] if pair else container[index]
        match random.randint(0, 9):
            case 0 | 1 | 2 | 3:
                new = poison(random)
            case 4:
                other, at, other_kind = random.choice(places)
                new = other[at][1] if other_kind == 1 else other[at]
                if _holds(new, container):
                    new = poison(random)
            case 5:
                new = random.choice(([value], [value, value], Pairs([["value", value]]),
                                     Pairs([["shot", value], ["shot", value]])))
            case 6 if pair:
                container[index][0] = random.choice((*WORDS[:20], odd_text(random), "prompt", "shots", "vars", "id", "<<"))
                continue
            case 7 if pair:
                container.insert(random.randint(0, len(container)), [container[index][0], poison(random)])
                continue
            case 8:
                del container[index]
                continue
            case _:
                new = str(value)[:50] + random.choice(ODD) if isinstance(value, str) else poison(random)
        if pair:
            container[index][1] = new
        else:
            container[index] = new
    return tree


def _holds(tree: Any, wanted: Any) -> bool:
    todo = [tree]
    while todo:
        value = todo.pop()
        if value is wanted:
            return True
        if isinstance(value, list):
            todo.extend(item[1] if isinstance(value, Pairs) else item for item in value)
    return False


# ── written down ──────────────────────────────────────────────────────────────────────────────────────────────────────


def yaml_text(random: Random, value: Any, indent: int = 0) -> str:
    """A tree as YAML, in blocks or in flow as chance will have it."""
    pad = "  " * indent
    if isinstance(value, list) and value and (indent == 0 or random.random() < 0.8) and indent < 20:
        if isinstance(value, Pairs):
            return "".join(f"{pad}{_key(key)}:{_after(random, item, indent)}" for key, item in value)
        return "".join(f"{pad}-{_after(random, item, indent)}" for item in value)
    return f"{pad}{flow(random, value)}\n"


def _after(random: Random, value: Any, indent: int) -> str:
    if isinstance(value, list) and value:
        block = yaml_text(random, value, indent + 1)
        return f"\n{block}" if "\n" in block[:-1] or block.lstrip()[:1] not in "[{" else f" {block.lstrip()}"
    if isinstance(value, str) and "\n" in value and random.random() < 0.5:
        return " |\n" + "".join(f"{'  ' * (indent + 1)}{line}\n" for line in value.split("\n"))
    return f" {flow(random, value)}\n"


def flow(random: Random, value: Any) -> str:
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, Pairs):
        return "{" + ", ".join(f"{_key(key)}: {flow(random, item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(random, item) for item in value) + "]"
    if value is None or value is True or value is False:
        return json.dumps(value)
    if isinstance(value, str):
        return value if value.replace(" ", "").isalnum() and random.random() < 0.7 and value.strip() else _quoted(random, value)
    return repr(value)


def _key(key: Any) -> str:
    return key.text if isinstance(key, Raw) else key if str(key).isidentifier() else json.dumps(str(key), ensure_ascii=False)


def _quoted(random: Random, text: str) -> str:
    draw = random.random()
    if draw < 0.3 and "\n" not in text:
        return "'" + text.replace("'", "''") + "'"
    return json.dumps(text, ensure_ascii=draw > 0.9)


def json_written(value: Any) -> str:
    """A tree as JSON, as far as it is one."""
    if isinstance(value, Raw):
        return value.text
    if isinstance(value, Pairs):
        return "{" + ", ".join(f"{json.dumps(str(key))}: {json_written(item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(json_written, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN"
    return json.dumps(value)


def tree_of(data: Any) -> Any:
    """Plain data as a tree."""
    if isinstance(data, dict):
        return Pairs([[key, tree_of(item)] for key, item in data.items()])
    return [tree_of(item) for item in data] if isinstance(data, list) else data


# ── text and bytes ────────────────────────────────────────────────────────────────────────────────────────────────────


def bend_lines(random: Random, text: str, times: int) -> str:
    """Lines doubled, dropped, moved, indented, joined, and characters put into them."""
    lines = text.split("\n")
    for _ in range(times):
        at = random.randrange(len(lines))
        match random.randint(0, 7):
            case 0:
                lines.insert(random.randint(0, len(lines)), lines[at])
            case 1 if len(lines) > 1:
                del lines[at]
            case 2:
                lines[at] = random.choice((" ", "  ", "\t", "    ")) + lines[at]
            case 3:
                lines[at] = lines[at].lstrip() if random.random() < 0.5 else lines[at][1:]
            case 4:
                place = random.randint(0, len(lines[at]))
                lines[at] = lines[at][:place] + random.choice((*ODD, *RAWS)) + lines[at][place:]
            case 5:
                lines[at] = lines[at].replace(": ", random.choice((":", " : ", ": &a ", ": *a", ": !!str ", ": [", ": {")), 1)
            case 6:
                other = random.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            case _:
                lines[at] += random.choice((" #", ":", ",", "\\", " {{ hero }}", " *a", "\r", " |"))
    return random.choice(("\n",) * 8 + ("\r\n", "\r")).join(lines)


def bend_bytes(random: Random, data: bytes, times: int) -> bytes:
    """Bytes flipped, cut, doubled, and the marks of other encodings put into them."""
    out = bytearray(data)
    for _ in range(times):
        at = random.randrange(len(out) + 1)
        match random.randint(0, 7):
            case 0 | 1 if out:
                out[at % len(out)] = random.randrange(256)
            case 2:
                del out[at:at + random.choice((1, 2, 8, 100, 2000))]
            case 3:
                out[at:at] = bytes(random.randrange(256) for _ in range(random.randint(1, 8)))
            case 4:
                out[at:at] = out[at:at + random.randint(1, 400)] * random.choice((1, 1, 2, 30))
            case 5:
                out[at:at] = random.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\xc0\xaf", b"\xed\xa0\x80",
                                            b"\xf4\x90\x80\x80",
                                            b"\x1b[2J", b"\xe2\x80\xae", b"<<<<<<< HEAD\n", b"\r", b"\x85", b"{{", b"{%",
                                            b"[" * 70))
            case 6 if out:
                out[at % len(out)] ^= 1 << random.randrange(8)
            case _:
                del out[at:]
    return bytes(out)
