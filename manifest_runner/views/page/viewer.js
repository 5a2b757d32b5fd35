"use strict";

// One shot at a time, large: its clip, its takes side by side, and everything that is known of it.
//
// There are never more than three video elements, however long the show is: two on the first screen, of which one loads the next
// clip while the other plays, and one on the second screen.

const VIEW = { open: false, number: 0, compare: false, all: false, loop: true, muted: false, ticking: 0, from: null };
const PARTS = {};
let FIRST, SECOND;

// What stands in for a clip that is not there: it runs as long as the clip would.
class Slate {
  constructor(seconds) { this.duration = seconds; this.reached = 0; this.since = null; }
  get paused() { return this.since === null; }
  get currentTime() { return Math.min(this.duration, this.reached + (this.paused ? 0 : (performance.now() - this.since) / 1000)); }
  set currentTime(seconds) { this.reached = seconds; if (!this.paused) this.since = performance.now(); }
  get ended() { return this.currentTime >= this.duration; }
  play() { if (this.paused) this.since = performance.now(); return Promise.resolve(); }
  pause() { this.reached = this.currentTime; this.since = null; }
}

class Screen {
  constructor(name, buffers) {
    this.videos = Array.from({ length: buffers }, () => el("video", { playsinline: true, preload: "auto", hidden: true,
                                                                     "aria-label": name }));
    this.front = 0;
    this.slate = el("div", { class: "leader", hidden: true });
    this.picker = el("div", { class: "picker", role: "group", "aria-label": `${name}: which take` });
    this.node = el("figure", { class: "screen" }, el("div", { class: "glass" }, this.videos, this.slate),
                   el("figcaption", null, this.picker));
    this.media = null;
    this.source = null;
    for (const video of this.videos) {
      video.addEventListener("error", () => video === this.media && this.showSlate("This clip cannot be played here."));
    }
  }

  load(shot, source) {
    const address = clipAddress(source);
    this.source = source;
    this.pause();
    if (!address) {
      this.showSlate(source && source.words ? source.words : "no clip yet");
      this.media = new Slate(shot.length || 3);
      return;
    }
    const ready = this.videos.findIndex((video) => video.dataset.address === address);
    this.front = ready >= 0 ? ready : this.front;
    const video = this.videos[this.front];
    if (ready < 0) { video.dataset.address = address; video.poster = source.poster || ""; video.src = address; }
    this.slate.hidden = true;
    for (const other of this.videos) other.hidden = other !== video;
    this.media = video;
    video.setAttribute("aria-label", `${shot.id}, ${sourceName(source)}`);
  }

  showSlate(words) {
    const shot = DATA.shots[VIEW.number];
    const [address] = posterOf(shot, null);
    this.slate.replaceChildren(picture(address, "poster") || "", el("p", { class: "id" }, shot.id), el("p", null, words));
    this.slate.hidden = false;
    for (const video of this.videos) video.hidden = true;
  }

  // The next clip, while this one plays.
  ready(source, from) {
    const address = clipAddress(source), spare = this.videos[1 - this.front];
    if (!address || !spare || this.videos.some((video) => video.dataset.address === address)) return;
    spare.dataset.address = address;
    spare.poster = source.poster || "";
    spare.src = address;
    spare.currentTime = from;
  }

  pause() { if (this.media) this.media.pause(); }

  // A video element that is not seen gives its decoder back.
  empty() {
    this.pause();
    for (const video of this.videos) { delete video.dataset.address; video.removeAttribute("src"); video.load(); video.hidden = true; }
    this.media = this.source = null;
  }
}

// A clip beside the page by its address; one inside it by the element that holds it.
function clipAddress(source) {
  if (!source || !source.clip) return "";
  if (!source.clip.startsWith("#")) return source.clip;
  return "data:video/mp4;base64," + document.getElementById(source.clip.slice(1)).textContent;
}

const sources = (shot) => [...shot.takes, ...(shot.before ? [{ ...shot.before, earlier: true }] : [])];
const sourceName = (source) => (source.earlier ? `at ${DATA.against.name}` : `take ${source.take}${source.circled ? ", circled" : ""}`);
const sameSource = (one, other) => Boolean(one && other) && one.take === other.take && Boolean(one.earlier) === Boolean(other.earlier);

// ── opening and closing ─────────────────────────────────────────────────────────────────────────────────────────────

function openShot(number, take, options) {
  const shot = DATA.shots[number];
  const all = Boolean(options && options.all), play = !options || options.play !== false;
  if (!VIEW.open) {
    VIEW.open = true;
    VIEW.from = document.activeElement;
    PARTS.dialog.showModal();
  }
  VIEW.number = number;
  VIEW.all = all;
  const source = sources(shot).find((one) => one.take === take && !one.earlier) || inCut(shot);
  FIRST.load(shot, source);
  if (all || (VIEW.compare && !pickSecond(shot))) setCompare(false);
  describe(shot);
  const begin = all ? shot.from : 0;
  if (Math.abs(FIRST.media.currentTime - begin) > 0.01) FIRST.media.currentTime = begin;  // one that was made ready stands there
  if (VIEW.compare) SECOND.media.currentTime = FIRST.media.currentTime;
  remember(shot);
  if (all || (play && !CALM.matches)) start();
  else showTime();
}

function closeViewer() {
  VIEW.open = VIEW.all = false;
  FIRST.empty();
  SECOND.empty();
  remember(null);
  const card = CARDS[VIEW.number];
  if (!card.hidden) { card.querySelector(".plate").focus(); card.scrollIntoView({ block: "nearest" }); }
  else if (VIEW.from) VIEW.from.focus();
}

// The shot in the page's address, so that it can be sent to somebody.
function remember(shot) {
  try { history.replaceState(null, "", shot ? "#" + encodeURIComponent(shot.id) : location.pathname + location.search); } catch { /* a sandbox */ }
}

const visible = () => [...DATA.shots.keys()].filter((number) => !CARDS[number].hidden);

function go(step) {
  const list = VIEW.all ? CUT.map(({ number }) => number) : visible();
  const next = list[list.indexOf(VIEW.number) + step];
  if (next === undefined) return false;
  openShot(next, undefined, { all: VIEW.all, play: !FIRST.media.paused });
  return true;
}

// ── playing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const screens = () => (VIEW.compare ? [FIRST, SECOND] : [FIRST]);

function start() {
  const shot = DATA.shots[VIEW.number];
  const { media } = FIRST;
  if (media.ended || (VIEW.all && media.currentTime >= shot.to - 0.02)) seek(VIEW.all ? shot.from : 0);
  for (const screen of screens()) screen.media.play().catch(() => showTime());
  if (VIEW.all) {
    const next = CUT[CUT.findIndex(({ number }) => number === VIEW.number) + 1];
    if (next) FIRST.ready(inCut(next.shot), next.shot.from);
  }
  cancelAnimationFrame(VIEW.ticking);
  VIEW.ticking = requestAnimationFrame(tick);
  showTime();
}

function pause() {
  for (const screen of screens()) screen.pause();
  showTime();
}

const toggle = () => (FIRST.media.paused ? start() : pause());

function seek(seconds) {
  const length = FIRST.media.duration || DATA.shots[VIEW.number].length || 0;
  for (const screen of screens()) screen.media.currentTime = Math.max(0, Math.min(length, seconds));
  showTime();
}

function tick() {
  if (!VIEW.open) return;
  const shot = DATA.shots[VIEW.number], { media } = FIRST;
  if (VIEW.all && (media.currentTime >= shot.to - 0.02 || media.ended)) {
    if (!go(1)) { VIEW.all = false; pause(); }
    return;
  }
  if (!VIEW.all && media.ended) {
    if (!VIEW.loop) { pause(); return; }
    seek(0);
    for (const screen of screens()) screen.media.play().catch(() => {});
  }
  if (VIEW.compare) inStep();
  showTime();
  if (!media.paused || VIEW.all) VIEW.ticking = requestAnimationFrame(tick);
}

// The second screen follows the first: two decoders drift.
function inStep() {
  const { media } = SECOND, seconds = FIRST.media.currentTime;
  if (media.seeking || seconds > (media.duration || 0)) return;
  const behind = seconds - media.currentTime;
  // A little is made up by pace, which nobody sees; a seek would be seen.
  if (Math.abs(behind) > 0.3) media.currentTime = seconds;
  else media.playbackRate = Math.max(0.8, Math.min(1.25, 1 + 2 * behind));
  if (media.paused && !FIRST.media.paused && !media.ended) media.play().catch(() => {});
}

function step(frames) {
  pause();
  const take = FIRST.source, rate = (take && take.fps) || 24;
  // To the middle of a frame: its beginning may still show the one before.
  seek((Math.floor(FIRST.media.currentTime * rate + 0.01) + frames + 0.5) / rate);
}

function showTime() {
  const shot = DATA.shots[VIEW.number], { media } = FIRST;
  if (!media) return;
  const length = Number.isFinite(media.duration) && media.duration ? media.duration : shot.length || 1, now = media.currentTime;
  PARTS.scrub.max = String(length);
  PARTS.scrub.value = String(now);
  PARTS.scrub.setAttribute("aria-valuetext", `${now.toFixed(1)} of ${length.toFixed(1)} seconds`);
  PARTS.track.style.setProperty("--at", `${(100 * now) / length}%`);
  PARTS.track.style.setProperty("--in", `${(100 * shot.from) / length}%`);
  PARTS.track.style.setProperty("--out", `${(100 * Math.min(length, shot.to || length)) / length}%`);
  const before = CUT.slice(0, Math.max(0, CUT.findIndex(({ number }) => number === VIEW.number)))
    .reduce((sum, one) => sum + one.shot.seconds, 0);
  const inside = Math.max(0, Math.min(shot.seconds, now - shot.from));
  PARTS.time.textContent = VIEW.all ? `${clock(before + inside)} / ${clock(LENGTH)}` : `${clock(now)} / ${clock(length)}`;
  PARTS.playhead.style.left = `${LENGTH ? (100 * (before + inside)) / LENGTH : 0}%`;
  const playing = !media.paused;
  PARTS.play.replaceChildren(icon(playing ? "pause" : "play"));
  PARTS.play.setAttribute("aria-label", playing ? "Pause" : "Play");
  PARTS.dialog.classList.toggle("playing", playing);
}

// ── comparing ───────────────────────────────────────────────────────────────────────────────────────────────────────

function pickSecond(shot) {
  const others = sources(shot).filter((source) => source.clip && !sameSource(source, FIRST.source));
  if (!others.length) return false;
  const other = others.find((source) => source.earlier) || others[0];
  SECOND.load(shot, other);
  return true;
}

function setCompare(on) {
  const shot = DATA.shots[VIEW.number];
  if (on && !pickSecond(shot)) {
    say(`${shot.id} has nothing to compare with: one clip`, true);
    return;
  }
  VIEW.compare = on;
  if (on) { VIEW.all = false; SECOND.media.currentTime = FIRST.media.currentTime; SECOND.media.muted = true; }
  else SECOND.empty();
  SECOND.node.hidden = !on;
  PARTS.screens.dataset.count = on ? "2" : "1";
  PARTS.compare.setAttribute("aria-pressed", String(on));
  pickers(shot);
  if (on && !FIRST.media.paused) start();
}

function choose(screen, source) {
  const shot = DATA.shots[VIEW.number], playing = !FIRST.media.paused, at = FIRST.media.currentTime;
  VIEW.all = false;
  screen.load(shot, source);
  screen.media.currentTime = at;
  pickers(shot);
  if (playing) start();
  else showTime();
}

function nextTake() {
  const list = sources(DATA.shots[VIEW.number]);
  const at = list.findIndex((source) => sameSource(source, FIRST.source));
  if (list.length > 1) choose(FIRST, list[(at + 1) % list.length]);
}

function pickers(shot) {
  for (const screen of screens()) {
    screen.picker.replaceChildren(...sources(shot).map((source) =>
      el("button", { type: "button", class: "pick", "aria-pressed": String(sameSource(source, screen.source)),
                     onclick: () => choose(screen, source) },
         source.earlier ? `Before, at ${DATA.against.name}` : takeName(source, true))));
  }
}

// ── what is known of the shot ───────────────────────────────────────────────────────────────────────────────────────

function describe(shot) {
  const place = CUT.findIndex(({ number }) => number === VIEW.number);
  PARTS.dialog.setAttribute("aria-label", `Shot ${shot.id}`);
  PARTS.name.replaceChildren(el("span", { class: "number" }, place >= 0 ? `${place + 1} of ${CUT.length}` : "not in the cut"),
                             el("h2", { class: "id" }, shot.id), stateMark(shot.state));
  PARTS.notes.replaceChildren(...notes(shot));
  PARTS.notes.scrollTop = 0;
  pickers(shot);
  for (const segment of PARTS.strip.querySelectorAll(".segment")) {
    segment.classList.toggle("here", Number(segment.dataset.number) === VIEW.number);
  }
}

function section(title, ...children) {
  const content = children.flat(Infinity).filter(Boolean);
  return content.length ? el("section", null, el("h3", null, title), content) : null;
}

function notes(shot) {
  const cut = shot.seconds === shot.length ? shot.length && "all of it"
    : `${short(shot.seconds)} of ${short(shot.length)}, from ${short(shot.from)} to ${short(shot.to)}`;
  const changed = shot.since ? shot.since.words.filter((words) => words !== "prompt") : [];
  return [
    shot.note ? el("p", { class: "note", dir: "auto" }, shot.note) : null,
    section(shot.base ? `Prompt, and what changed since ${shot.base}` : "Prompt",
            el("p", { class: "prompt", dir: "auto" }, pieces(shot.prompt))),
    shot.since && shot.since.kind === "new" ? section(`Since ${DATA.against.name}`, el("p", null, "A new shot.")) : null,
    changed.length
      ? section(`Since ${DATA.against.name}`, el("ul", { class: "plain" }, changed.map((words) => el("li", { dir: "auto" }, words)))) : null,
    section("Camera", shot.camera ? cameraLarge(shot.camera) : null),
    section("Frames", framesLarge(shot)),
    section(shot.takes.length > 1 ? "Takes" : "Take", el("ul", { class: "plain ledger" }, shot.takes.map(takeLine))),
    section("Settings", el("dl", { class: "settings" },
      [...shot.facts, ["In the cut", cut], ["List price of a take", shot.price && `${shot.price} credits`]].filter(([, value]) => value)
        .map(([name, value]) => [el("dt", null, name), el("dd", { dir: "auto" }, value)]))),
  ].filter(Boolean);
}

function cameraLarge(view) {
  const drawn = drawnMoves(view);
  return el("div", { class: "camera large" }, drawn.length ? el("div", { class: "moves" }, drawn) : null,
    el("div", null, el("p", null, view.words), view.moves.map((move) => meter(move.amount, view.most))));
}

function framesLarge(shot) {
  const take = inCut(shot);
  const one = (still, frame, name) => {
    const address = still || frameAddress(frame);
    if (!address && !frame) return null;
    const jump = frame && frame.shot ? DATA.shots.findIndex((other) => other.id === frame.shot) : -1;
    const words = frame ? frame.words : "as it came out";
    return el("figure", { class: "frame" }, address ? picture(address, "still") : el("div", { class: "still none" }),
              el("figcaption", null, el("b", null, name),
                 jump >= 0 ? el("button", { type: "button", class: "jump", onclick: () => openShot(jump) }, words)
                           : el("span", { dir: "auto" }, words)));
  };
  const found = [one(take ? take.first : "", shot.first, "First"), one(take ? take.last : "", shot.last, "Last")].filter(Boolean);
  return found.length ? el("div", { class: "frames large" }, found) : null;
}

function takeLine(take) {
  const money = [take.cost && `${take.cost} credits to render`, take.charged && `${take.charged} credits charged`].filter(Boolean);
  const small = [take.media, take.job].filter(Boolean);
  return el("li", null,
    el("p", null, takeName(take, true), " ", stateMark(take.state, take.words)),
    take.reasons.length || take.remarks.length ? el("p", null, [...take.reasons, ...take.remarks].join("; ")) : null,
    take.next.map((command) => el("p", { class: "small" }, el("code", null, command))),
    money.length ? el("p", { class: "money" }, money.join(", ")) : null,
    small.length ? el("p", { class: "small" }, small.join(" · ")) : null);
}

// ── the room itself ─────────────────────────────────────────────────────────────────────────────────────────────────

function buildViewer() {
  FIRST = new Screen("First screen", 2);
  SECOND = new Screen("Second screen", 1);
  SECOND.node.hidden = true;
  PARTS.dialog = document.getElementById("viewer");
  PARTS.name = el("div", { class: "name" });
  PARTS.screens = el("div", { class: "screens", "data-count": "1" }, FIRST.node, SECOND.node);
  PARTS.play = iconButton("play", "Play", "space", toggle, { class: "tool big", autofocus: true });
  PARTS.compare = iconButton("compare", "Compare", "c", () => setCompare(!VIEW.compare), { "aria-pressed": "false" });
  PARTS.mute = iconButton("sound", "Mute", "m", mute, { "aria-pressed": "false" });
  PARTS.scrub = el("input", { type: "range", min: "0", max: "1", step: "any", value: "0", "aria-label": "Position in the clip",
                              oninput: () => seek(Number(PARTS.scrub.value)) });
  PARTS.track = el("div", { class: "track" }, PARTS.scrub);
  PARTS.time = el("output", { class: "time", "aria-hidden": "true" });
  PARTS.strip = strip();
  PARTS.playhead = PARTS.strip.querySelector(".playhead");
  PARTS.notes = el("aside", { class: "notes", "aria-label": "About this shot", tabindex: "0" });
  const back = (name, label, key, onclick) => iconButton(name, label, key, onclick, { class: "tool mirrored" });
  PARTS.dialog.replaceChildren(
    el("div", { class: "top" }, PARTS.name, iconButton("close", "Close", "Esc", () => PARTS.dialog.close())),
    el("div", { class: "stage" }, PARTS.screens,
      el("div", { class: "transport" },
        PARTS.track,
        el("div", { class: "controls" },
          back("next", "Previous shot", "←", () => go(-1)), back("step", "Back one frame", ",", () => step(-1)), PARTS.play,
          iconButton("step", "On one frame", ".", () => step(1)), iconButton("next", "Next shot", "→", () => go(1)),
          PARTS.time, el("span", { class: "gap" }), PARTS.compare, PARTS.mute),
        PARTS.strip)),
    PARTS.notes);
  PARTS.dialog.addEventListener("close", closeViewer);
}

function mute() {
  VIEW.muted = !VIEW.muted;
  for (const video of FIRST.videos) video.muted = VIEW.muted;
  PARTS.mute.setAttribute("aria-pressed", String(VIEW.muted));
  PARTS.mute.replaceChildren(icon(VIEW.muted ? "mute" : "sound"));
}
