"use strict";

// The contact sheet: one card a shot, in the order of the cut.

const STATES = {
  done: ["=", "done"], changed: ["~", "changed"], new: ["+", "new"], unfinished: [">", "unfinished"],
  attention: ["!", "look at it"], fetch: ["<", "to fetch"], dropped: ["−", "dropped"],
};

function stateMark(state, words) {
  const [symbol, name] = STATES[state];
  return el("span", { class: "state", "data-state": state }, el("b", { "aria-hidden": "true" }, symbol), words || name);
}

// The take that goes into the cut is circled, as on a script supervisor's page.
function takeName(take, long) {
  const name = el("span", { class: take.circled ? "take circled" : take.cut ? "take cut" : "take" }, `${long ? "Take " : "t"}${take.take}`,
                  take.circled ? drawing("pencil", "pencil") : null);
  return take.circled ? [name, el("span", { class: "unseen" }, " circled")] : name;
}

const inCut = (shot) => shot.takes.find((take) => take.cut) || shot.takes[shot.takes.length - 1];

// A picture for a shot, and whether it is only what the shot begins on.
function posterOf(shot, take) {
  if (take && take.poster) return [take.poster, false];
  return [frameAddress(shot.first), true];
}

function frameAddress(frame) {
  if (!frame) return "";
  return frame.picture || (frame.file && DATA.pictures[frame.file]) || "";
}

// Frame in → frame out: stills of the clip where there is one, else what the shot is to begin and end on.
function frames(shot, take) {
  const side = (still, frame, name) => {
    const address = still || frameAddress(frame);
    if (!address && !frame) return null;
    const words = frame ? frame.words : "";
    return el("span", { class: "frame", title: words ? `${name}: ${words}` : name },
              address ? picture(address, "still") : el("span", { class: "still none" }),
              el("span", { class: "unseen" }, `${name}${words ? ": " + words : ""}. `));
  };
  const first = side(take ? take.first : "", shot.first, "First frame");
  const last = side(take ? take.last : "", shot.last, "Last frame");
  if (!first && !last) return null;
  return el("div", { class: "frames" }, first, el("span", { class: "to", "aria-hidden": "true" }, "→"), last);
}

function camera(shot) {
  if (!shot.camera) return null;
  return el("div", { class: "camera", title: `Camera: ${shot.camera.words}` }, drawnMoves(shot.camera),
            el("span", null, shot.camera.words));
}

function money(shot) {
  if (shot.cost) return el("span", { class: "cost" }, el("b", null, shot.cost), " credits");
  const charged = shot.takes.map((take) => take.charged).filter(Boolean);
  return charged.length ? el("span", { class: "paid" }, `${charged.join(" + ")} charged`) : null;
}

function reasons(shot) {
  return [...new Set(shot.takes.flatMap((take) => [...take.reasons, ...take.remarks]))];
}

function card(shot, number) {
  const take = inCut(shot);
  const [address, borrowed] = posterOf(shot, take);
  const name = `${shot.id}, ${short(shot.seconds)}, ${STATES[shot.state][1]}`;
  const plate = el("button", { type: "button", class: "plate", "aria-label": `Open ${name}`, onclick: () => openShot(number) },
                   address ? picture(address, borrowed ? "poster borrowed" : "poster")
                           : el("span", { class: "blank", "aria-hidden": "true" }, shot.id),
                   take && take.clip ? icon("play") : el("span", { class: "noclip" }, "no clip yet"),
                   shot.seconds ? el("span", { class: "length" }, short(shot.seconds)) : null);
  const takes = shot.takes.length > 1
    ? el("div", { class: "takes", role: "group", "aria-label": `Takes of ${shot.id}` }, shot.takes.map((one) =>
        el("button", { type: "button", class: one.cut ? "thumb cut" : "thumb",
                       "aria-label": `Open ${shot.id}, take ${one.take}${one.circled ? ", circled" : ""}`,
                       onclick: () => openShot(number, one.take) },
           picture(one.poster, "still") || el("span", { class: "still none" }), takeName(one))))
    : null;
  const because = reasons(shot);
  const text = el("p", { class: "prompt", dir: "auto" }, pieces(shot.brief));
  const node = el("article", { class: "shot", "data-state": shot.state, "data-id": shot.id, "aria-labelledby": `shot-${number}` },
    plate,
    el("div", { class: "facts" },
      el("h2", { id: `shot-${number}` }, el("span", { class: "number", "aria-hidden": "true" }, String(number + 1)),
         el("span", { class: "id" }, shot.id)),
      takes,
      shot.since && shot.since.kind !== "same"
        ? el("p", { class: "since" }, sinceWords(shot)) : null,
      shot.note ? el("p", { class: "note", dir: "auto" }, shot.note) : null,
      text,
      el("div", { class: "look" }, camera(shot), frames(shot, take)),
      el("div", { class: "verdict" }, stateMark(shot.state, because.join("; ")), money(shot))));
  return node;
}

function sinceWords(shot) {
  if (shot.since.kind === "gone") return "No longer in the manifest";
  return `Since ${DATA.against.name}: ${shot.since.kind === "new" ? "a new shot" : shot.since.words.join("; ")}`;
}

// The cut as one strip: a segment a shot, as wide as it is long. It is for the mouse; the keyboard has the cards.
function strip() {
  const segments = CUT.map(({ shot, number }) => {
    const segment = el("span", { class: "segment", "data-state": shot.state, title: `${shot.id}, ${short(shot.seconds)}`,
                                 onclick: () => openShot(number) });
    segment.style.flexGrow = String(Math.max(shot.seconds, 0.01));
    segment.dataset.number = String(number);
    return segment;
  });
  return el("div", { class: segments.length > 120 ? "strip dense" : "strip", "aria-hidden": "true" }, segments, el("i", { class: "playhead", id: "playhead" }));
}

function heading() {
  const done = CUT.filter(({ shot }) => shot.state === "done").length;
  const seconds = CUT.reduce((sum, { shot }) => sum + shot.seconds, 0);
  const fact = (value, name) => el("div", null, el("dt", null, name), el("dd", null, value));
  return [
    el("div", { class: "slate" },
      el("p", { class: "code" }, [DATA.show, DATA.sequence].filter(Boolean).join(" / ")),
      el("h1", null, DATA.title || DATA.sequence || DATA.show),
      el("p", { class: "plan" }, DATA.draft ? el("span", { class: "draft" }, "Draft") : null, DATA.summary)),
    el("dl", { class: "figures" },
      fact(String(CUT.length), CUT.length === 1 ? "shot" : "shots"),
      fact(clock(seconds).slice(0, -3), "in the cut"),
      fact(`${done}/${CUT.length}`, "done"),
      fact(DATA.price, "the whole cut")),
  ];
}

// ── the filter ──────────────────────────────────────────────────────────────────────────────────────────────────────

const FILTER = { state: "", words: "" };

function fits(shot) {
  const { state } = FILTER;
  if (state === "since" ? !shot.since || shot.since.kind === "same" : state && shot.state !== state) return false;
  return FILTER.words.toLowerCase().split(/\s+/).every((word) => shot.haystack.includes(word));
}

function haystack(shot) {
  const texts = [shot.id, shot.note, shot.prompt.filter(([kind]) => kind !== "removed").map(([, text]) => text).join(""),
                 shot.camera ? shot.camera.words : "", STATES[shot.state][1], ...reasons(shot),
                 shot.first ? shot.first.words : "", shot.last ? shot.last.words : ""];
  return texts.join(" ").toLowerCase();
}

function applyFilter() {
  let count = 0;
  for (const [number, node] of CARDS.entries()) {
    const fit = fits(DATA.shots[number]);
    node.hidden = !fit;
    count += fit;
  }
  document.getElementById("nothing").hidden = count > 0;
  for (const chip of document.querySelectorAll(".chip")) chip.setAttribute("aria-pressed", String(chip.dataset.filter === FILTER.state));
  for (const segment of document.querySelectorAll(".segment")) {
    segment.classList.toggle("out", CARDS[segment.dataset.number].hidden);
  }
  say(`${plural(count, "shot")} shown`);
}

function chips() {
  const counts = {};
  for (const shot of DATA.shots) counts[shot.state] = (counts[shot.state] || 0) + 1;
  const since = DATA.shots.filter((shot) => shot.since && shot.since.kind !== "same").length;
  const chip = (filter, words, count) =>
    el("button", { type: "button", class: "chip", "data-filter": filter, "data-state": filter, "aria-pressed": String(filter === ""),
                   onclick: () => { FILTER.state = filter; applyFilter(); } }, words, el("span", { class: "count" }, String(count)));
  return el("div", { class: "chips", role: "group", "aria-label": "Show" },
    chip("", "All", DATA.shots.length),
    since ? chip("since", `Since ${DATA.against.name}`, since) : null,
    Object.keys(STATES).filter((state) => counts[state]).map((state) => chip(state, STATES[state][1][0].toUpperCase() + STATES[state][1].slice(1), counts[state])));
}
