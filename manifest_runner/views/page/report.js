"use strict";

// Starts the page: theme first, before anything is drawn, then the sheet; keys for everything.

const THEME = "manifest-runner.theme";
const CALM = matchMedia("(prefers-reduced-motion: reduce)");
let DATA, CARDS, CUT, LENGTH;

function stored(value) {
  try {
    if (value === undefined) return localStorage.getItem(THEME);
    localStorage.setItem(THEME, value);
  } catch { /* a page in a sandbox remembers nothing */ }
  return value === undefined ? null : value;
}

function isDark() {
  const said = document.documentElement.dataset.theme;
  return said ? said === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function toggleTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  stored(document.documentElement.dataset.theme);
}

if (["dark", "light"].includes(stored())) document.documentElement.dataset.theme = stored();

let silence;
function say(words, aloud) {
  const said = document.getElementById("said");
  said.textContent = words;
  said.className = aloud ? "toast" : "unseen";
  clearTimeout(silence);
  if (aloud) silence = setTimeout(() => { said.className = "unseen"; }, 2600);
}

function playAll() {
  const at = VIEW.open ? CUT.findIndex(({ number }) => number === VIEW.number) : 0;
  const begin = CUT[Math.max(0, at)];
  if (begin) openShot(begin.number, undefined, { all: true });
}

function buildBar() {
  const search = el("input", { type: "search", id: "search", placeholder: "Filter", "aria-label": "Filter by text", autocomplete: "off",
                               spellcheck: "false", oninput: () => { FILTER.words = search.value; applyFilter(); } });
  document.getElementById("bar").replaceChildren(
    chips(),
    el("div", { class: "tools" },
      el("label", { class: "search" }, search, el("kbd", { "aria-hidden": "true" }, "/")),
      el("button", { type: "button", class: "play-all", onclick: playAll, title: "Play the whole cut (a)" }, icon("play"), "Play the cut"),
      iconButton("theme", "Dark or light", "d", toggleTheme),
      el("button", { type: "button", class: "tool", "aria-label": "Keys", title: "Keys (?)", onclick: openHelp }, "?")));
}

const KEYS = [
  ["On the sheet", [["← → ↑ ↓", "from shot to shot"], ["Enter", "open the shot and play it"], ["/", "filter by text"],
                    ["a", "play the whole cut"], ["d", "dark or light"], ["?", "this list"]]],
  ["In a shot", [["Space", "play or pause"], ["← →", "previous, next shot"], [", .", "back or on one frame"],
                 ["c", "compare two takes, or now and before"], ["t  1–9", "next take, take by number"],
                 ["i o", "to the cut's in, out"], ["l", "loop"], ["m", "mute"], ["a", "play on from here in the cut"], ["Esc", "back to the sheet"]]],
];

function openHelp() {
  const help = document.getElementById("help");
  help.replaceChildren(el("h2", null, "Keys"),
    el("div", { class: "keys" }, KEYS.map(([title, rows]) => el("section", null, el("h3", null, title),
      el("dl", null, rows.map(([keys, words]) => [el("dt", null, keys.split(" ").filter(Boolean).map((key) => el("kbd", null, key))),
                                                  el("dd", null, words)]))))),
    el("button", { type: "button", class: "close", onclick: () => help.close() }, "Close"));
  help.showModal();
}

// ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function viewerKey(event) {
  const shot = DATA.shots[VIEW.number], range = event.target === PARTS.scrub;
  const actions = {
    " ": toggle, k: toggle, c: () => setCompare(!VIEW.compare), t: nextTake, m: mute, a: playAll, ",": () => step(-1), ".": () => step(1),
    i: () => seek(shot.from), o: () => seek(Math.max(shot.from, shot.to - 0.05)), d: toggleTheme, "?": openHelp,
    l: () => { VIEW.loop = !VIEW.loop; say(VIEW.loop ? "Clips loop" : "Clips play once", true); },
  };
  if (!range) Object.assign(actions, { ArrowLeft: () => go(-1), ArrowRight: () => go(1) });
  if (/^[1-9]$/.test(event.key)) {
    const take = shot.takes.find((one) => one.take === Number(event.key));
    return take ? () => choose(FIRST, take) : null;
  }
  return actions[event.key] || null;
}

function sheetKey(event) {
  const actions = { "/": () => document.getElementById("search").focus(), a: playAll, d: toggleTheme, "?": openHelp };
  const at = CARDS.findIndex((card) => card.contains(event.target));
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (way && (at >= 0 || way[0])) return () => moveFocus(at, ...way);
  return actions[event.key] || null;
}

// To the neighbour on the sheet: beside in the order of the cut, above and below by where the cards stand.
function moveFocus(at, across, down) {
  const list = visible();
  if (!list.length) return;
  let to = at < 0 ? list[0] : list[list.indexOf(at) + across];
  if (down && at >= 0) {
    const here = CARDS[at].getBoundingClientRect();
    to = list.filter((number) => (down > 0 ? CARDS[number].getBoundingClientRect().top >= here.bottom - 2
                                           : CARDS[number].getBoundingClientRect().bottom <= here.top + 2))
      .sort((one, other) => nearness(CARDS[one], here) - nearness(CARDS[other], here))[0];
  }
  if (to !== undefined) CARDS[to].querySelector(".plate").focus();
}

function nearness(card, here) {
  const there = card.getBoundingClientRect();
  return Math.abs(there.top - here.top) * 10 + Math.abs(there.left - here.left);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (document.getElementById("help").open) return;
  if (event.target.matches("input[type=search]")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const button = event.target.closest("button");
  if (button && event.key === "Enter") return;
  // Space presses the button that the keyboard stands on; after a click it plays, whatever was clicked.
  if (button && event.key === " " && (!VIEW.open || button.matches(":focus-visible"))) return;
  const action = VIEW.open ? viewerKey(event) : sheetKey(event);
  if (!action) return;
  event.preventDefault();
  action();
}

// ── start ───────────────────────────────────────────────────────────────────────────────────────────────────────────

document.addEventListener("DOMContentLoaded", () => {
  DATA = JSON.parse(document.getElementById("data").textContent);
  for (const shot of DATA.shots) shot.haystack = haystack(shot);
  CUT = [...DATA.shots.entries()].filter(([, shot]) => shot.state !== "dropped" || shot.seconds).map(([number, shot]) => ({ number, shot }));
  LENGTH = CUT.reduce((sum, { shot }) => sum + shot.seconds, 0);
  document.getElementById("head").replaceChildren(...heading(), strip());
  buildBar();
  CARDS = DATA.shots.map(card);
  document.getElementById("sheet").append(...CARDS);
  document.getElementById("everything").addEventListener("click", () => {
    FILTER.state = FILTER.words = document.getElementById("search").value = "";
    applyFilter();
  });
  document.getElementById("foot").append(...[DATA.manifest, DATA.model, DATA.against && `against ${DATA.against.name} (${DATA.against.commit})`]
    .filter(Boolean).map((words) => el("span", null, words)));
  buildViewer();
  document.addEventListener("keydown", onKey);
  const asked = decodeURIComponent(location.hash.slice(1));
  const number = asked ? DATA.shots.findIndex((shot) => shot.id === asked) : -1;
  if (number >= 0) openShot(number, undefined, { play: false });
});
