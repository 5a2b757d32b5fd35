"""What the columns of a shot list are called, as data, and which row is the header.

Laws
- A name counts whatever its case, spaces, dots, brackets and accents. What is not in the table is no column of ours: it is
  named, and never guessed at.
- `EXPORTED` is what `export` writes; `import` reads every one of these names back.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from manifest_runner.core.sheet import Row


class Role(StrEnum):
    """What a column says of a shot. The values are the names by which `export` calls those that it writes."""

    SHOT_ID = "shot id"  # a name of the manifest's own, kept as it is
    SHOT = "shot"
    SLATE = "slate"
    SETUP = "setup"
    SCENE = "scene"
    PROMPT = "prompt"
    DESCRIPTION = "description"
    ACTION = "action"
    SIZE = "size"
    ANGLE = "angle"
    LENS = "lens"
    INT_EXT = "int/ext"
    LOCATION = "location"
    TIME_OF_DAY = "time of day"
    CAMERA = "camera"
    DURATION = "duration"
    TAKES = "takes"
    TAKE = "take"
    CIRCLED = "circled"
    FIRST_FRAME = "first frame"
    LAST_FRAME = "last frame"
    REFERENCE = "reference"
    CUT_IN = "cut in"
    CUT_OUT = "cut out"
    ASPECT = "aspect ratio"
    RESOLUTION = "resolution"
    NOTE = "note"
    NOTES = "notes"
    DIALOGUE = "dialogue"
    SOUND = "sound"
    CAST = "cast"
    SHOW = "show"
    SEQUENCE = "sequence"
    PARAMETER = "parameter"  # of the model, by its own name
    REPORTED = "reported"  # what `export` adds of lockfile and ledger; nothing of it is read


NAMES: Mapping[Role, tuple[str, ...]] = {
    Role.SHOT_ID: ("shot id",),
    Role.SHOT: ("shot", "shots", "shot no", "shot nr", "shot number", "shot num", "id", "no", "nr", "number", "sh",
                "einstellung", "einstellung nr", "einst", "einst nr", "einstellungsnummer", "nummer", "plan", "plan no",
                "numéro", "toma", "plano"),
    Role.SLATE: ("slate", "slate no", "slate number", "klappe", "clap", "claqueta"),
    Role.SETUP: ("setup", "set up", "setup no", "setup number", "set up no"),
    Role.SCENE: ("scene", "scenes", "sc", "scene no", "scene nr", "scene number", "scn", "szene", "szene nr", "szenennummer",
                 "sz", "bild nr", "scène", "scène no", "escena"),
    Role.PROMPT: ("prompt",),
    Role.DESCRIPTION: ("description", "descriptions", "desc", "shot description", "scene description", "visual", "visuals",
                       "visual description", "video", "what we see", "content", "beschreibung", "bildbeschreibung", "inhalt",
                       "bildinhalt", "descripción", "contenu", "image description"),
    Role.ACTION: ("action", "actions", "action description", "handlung", "aktion", "acción", "blocking"),
    Role.SIZE: ("size", "shot size", "framing", "field size", "shot type", "type of shot", "size framing",
                "shot size framing", "einstellungsgröße", "größe", "bildgröße", "bildausschnitt", "valeur de plan", "valeur",
                "cadre", "encuadre"),
    Role.ANGLE: ("angle", "camera angle", "shot angle", "angle of view", "perspektive", "kameraperspektive", "kamerawinkel",
                 "winkel", "angle de vue", "ángulo"),
    Role.LENS: ("lens", "lenses", "lens mm", "focal length", "objektiv", "brennweite", "objectif", "focale", "lente", "óptica"),
    Role.INT_EXT: ("int ext", "ext int", "i e", "interior exterior", "innen außen", "innen aussen", "i a"),
    Role.LOCATION: ("location", "locations", "loc", "set", "place", "ort", "drehort", "motiv", "schauplatz", "lieu", "décor",
                    "localización", "lugar", "slugline", "scene heading", "heading", "set location"),
    Role.TIME_OF_DAY: ("time of day", "tod", "day night", "d n", "tageszeit", "tag nacht", "t n", "jour nuit"),
    Role.CAMERA: ("camera", "camera move", "camera moves", "move", "moves", "movement", "movements", "camera movement",
                  "motion", "camera motion", "shot movement", "kamera", "kamerabewegung", "kamerafahrt", "bewegung",
                  "mouvement", "mouvement de caméra", "movimiento", "movimiento de cámara"),
    Role.DURATION: ("duration", "durations", "dur", "length", "len", "shot length", "secs", "sec", "seconds", "duration s",
                    "duration sec", "duration secs", "duration seconds", "duration in s", "duration in seconds", "length s",
                    "length sec", "length secs", "length seconds", "est duration", "estimated duration", "screen time",
                    "runtime", "run time", "tc", "timecode", "time code", "timing", "dauer", "dauer s", "dauer sek",
                    "dauer sekunden", "dauer in s", "dauer in sekunden", "länge", "länge s", "länge sek", "sek", "sekunden",
                    "durée", "durée s", "duración"),
    Role.TAKES: ("takes", "no of takes", "number of takes", "take s", "takes no", "anzahl takes", "prises"),
    Role.TAKE: ("take", "take no", "prise"),
    Role.CIRCLED: ("circled", "circled take", "circle take", "circle", "kopierer"),
    Role.FIRST_FRAME: ("first frame", "start frame", "first image", "start image", "plate", "plates", "startbild",
                       "erstes bild"),
    Role.LAST_FRAME: ("last frame", "end frame", "last image", "end image", "endbild", "letztes bild"),
    Role.REFERENCE: ("ref", "refs", "reference", "references", "reference image", "reference images", "ref image",
                     "image reference", "image", "images", "picture", "storyboard", "story board", "storyboard frame",
                     "board", "boards", "thumbnail", "referenz", "vorlage", "référence"),
    Role.CUT_IN: ("cut in",),
    Role.CUT_OUT: ("cut out",),
    Role.ASPECT: ("aspect ratio", "aspect", "ar", "ratio", "seitenverhältnis", "bildformat"),
    Role.RESOLUTION: ("resolution", "res", "auflösung", "résolution", "resolución"),
    Role.NOTE: ("note",),
    Role.NOTES: ("notes", "comment", "comments", "remark", "remarks", "shot notes", "additional notes", "director s notes",
                 "bemerkung", "bemerkungen", "anmerkung", "anmerkungen", "notiz", "notizen", "kommentar", "remarque",
                 "remarques", "notas", "observaciones"),
    Role.DIALOGUE: ("dialogue", "dialog", "dialogues", "lines", "vo", "v o", "voice over", "voiceover", "narration", "dialoge",
                    "diálogo"),
    Role.SOUND: ("sound", "audio", "sfx", "music", "ton", "musik", "son"),
    Role.CAST: ("cast", "characters", "character", "talent", "subject", "subjects", "who", "darsteller", "figuren", "rollen",
                "personnages"),
    Role.SHOW: ("show",),
    Role.SEQUENCE: ("sequence", "seq", "sequenz"),
    Role.REPORTED: ("state", "takes done", "credits charged", "credits to render", "clip"),
}

SHOWS = (Role.PROMPT, Role.DESCRIPTION, Role.ACTION)
"""What a shot shows. Without one of these there is nothing to render."""

NUMBERED = (Role.SHOT_ID, Role.SHOT, Role.SLATE, Role.SETUP)
"""By what a list calls its shots: the first that it has counts."""

_HEADER_WITHIN = 60
_COMPARED = 20  # unknown titles: each is compared with all names, and a list may have hundreds
_ALIKE = 0.85
_ROLES = {name: role for role, names in NAMES.items() for name in names}
_NOT_WORD = re.compile(r"[^\w]+|_+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that is known: where it stands, what it says, how the list calls it. `parameter` is that of the model."""

    index: int
    role: Role
    title: str
    parameter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The row that names the columns, by its place in the sheet. `unused` are titles that are not known; `near` says what some
    of them may mean."""

    at: int
    columns: tuple[Column, ...]
    unused: tuple[str, ...]
    near: Mapping[str, Role]

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset(column.role for column in self.columns)


def _plain(title: str) -> str:
    """A title without what people vary: case, accents, brackets, dots, underscores."""
    text = unicodedata.normalize("NFKD", title.casefold().replace("#", " no ").replace("№", " no "))
    return " ".join(_NOT_WORD.sub(" ", "".join(mark for mark in text if not unicodedata.combining(mark))).split())


_KNOWN = {_plain(name): role for name, role in _ROLES.items()}


def score(rows: Sequence[Row], parameters: Sequence[str] = ()) -> int:
    """How many columns the best header among the first rows has."""
    return max((len(_roles(row, parameters)) for row in rows[:_HEADER_WITHIN]), default=0)


def _roles(row: Row, parameters: Sequence[str]) -> set[tuple[Role, str]]:
    return {(column.role, column.parameter) for column in _columns(row, parameters)}


def _columns(row: Row, parameters: Sequence[str]) -> list[Column]:
    own = {_plain(name): name for name in parameters}
    found = []
    for index, cell in enumerate(row.cells):
        plain = _plain(cell)
        role = _KNOWN.get(plain)
        if role is not None:
            found.append(Column(index=index, role=role, title=" ".join(cell.split())))
        elif plain in own:
            found.append(Column(index=index, role=Role.PARAMETER, title=" ".join(cell.split()), parameter=own[plain]))
    return found


def find_header(rows: Sequence[Row], parameters: Sequence[str] = ()) -> Header | None:
    """The row that knows most columns, the first of several; None where none knows two. `parameters` are the model's own."""
    best, most = -1, 1
    for at, row in enumerate(rows[:_HEADER_WITHIN]):
        count = len(_roles(row, parameters))
        if count > most:
            best, most = at, count
    if best < 0:
        return None
    columns = _columns(rows[best], parameters)
    known = {column.index for column in columns}
    unused = tuple(" ".join(cell.split()) for index, cell in enumerate(rows[best].cells) if index not in known and cell.strip())
    missing = {name: role for name, role in _KNOWN.items() if role not in {column.role for column in columns}}
    near = {title: missing[name] for title in unused[:_COMPARED] for name in _alike(_plain(title), missing)}
    return Header(at=best, columns=tuple(columns), unused=unused, near=near)


def _alike(plain: str, known: Mapping[str, Role]) -> list[str]:
    """The known name that a title is but a slip of the hand away from."""
    import difflib  # only for a title that is not known

    return difflib.get_close_matches(plain, known, n=1, cutoff=_ALIKE)
