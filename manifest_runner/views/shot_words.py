"""A shot in words, and what changed in it from one revision of the manifest to another."""

from __future__ import annotations

from collections.abc import Callable

from manifest_runner.core.camera import prompt_without_camera, spoken
from manifest_runner.core.model import Camera, FileFrame, Frame, Json, Shot, ShotFrame
from manifest_runner.core.modelcard import ModelCard


def differences(old: Shot, new: Shot, card: ModelCard) -> list[str]:
    """What changed from one state of a shot to another: `prompt` alone for the prompt, `duration 4 → 5` for the rest."""
    same = prompt_without_camera(old.prompt, card) == prompt_without_camera(new.prompt, card)
    words = [] if same else ["prompt"]
    return words + [f"{name} {_short(was)} → {_short(now)}" for name, was, now in _compared(old, new, card) if was != now]


def _compared(old: Shot, new: Shot, card: ModelCard) -> list[tuple[str, str, str]]:
    """Everything but the prompt, in words, then and now."""
    hidden = ("prompt", card.camera.parameter)
    rows = [(title(name).lower(), value_words(old.params.get(name)), value_words(new.params.get(name)))
            for name in sorted(old.params.keys() | new.params.keys()) if name not in hidden]

    def add(name: str, words: Callable[[Shot], str]) -> None:
        rows.append((name, words(old), words(new)))

    add("camera", lambda shot: camera_words(shot.camera, card) if shot.camera is not None else "none")
    add("first frame", lambda shot: frame_words(shot.first_frame) or "none")
    add("last frame", lambda shot: frame_words(shot.last_frame) or "none")
    add("takes", lambda shot: str(shot.takes))
    add("circled take", lambda shot: str(shot.cut_take))
    add("cut", lambda shot: f"{shot.cut.start:g}–{'end' if shot.cut.end is None else format(shot.cut.end, 'g')}")
    add("note", lambda shot: shot.note or "none")
    return rows


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


def camera_words(camera: Camera, card: ModelCard) -> str:
    """A move in film words, whether it was written in them or as the API's own object."""
    return spoken(camera.control, card) if camera.control is not None else camera.words


def frame_words(frame: Frame | None) -> str:
    """`plates/bridge.png`, an address, or `last frame of SH0010 take 2`; nothing where there is none."""
    if frame is None:
        return ""
    if isinstance(frame, ShotFrame):
        take = f" take {frame.take}" if frame.take is not None else ""
        return f"{frame.frame.value} frame of {frame.shot}{take}"
    return frame.path if isinstance(frame, FileFrame) else frame.url


def title(name: str) -> str:
    """A parameter's name for people: `Aspect ratio`."""
    return name.replace("_", " ").capitalize()


def value_words(value: Json) -> str:
    """A parameter's value for people."""
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
