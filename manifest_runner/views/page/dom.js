"use strict";

// Making elements. Texts become text nodes and nothing else: no string of a manifest is ever parsed as markup.

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

function drawing(symbol, className, flip) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", className + (flip ? " flip-" + flip : ""));
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", "#" + symbol);
  svg.append(use);
  return svg;
}

const icon = (name) => drawing("icon-" + name, "icon");

function iconButton(name, label, key, onclick, more) {
  return el("button", { type: "button", class: "tool", "aria-label": label, title: key ? `${label} (${key})` : label, onclick, ...more },
            icon(name));
}

function picture(address, className) {
  return address ? el("img", { src: address, alt: "", class: className, decoding: "async", draggable: "false" }) : null;
}

// The pieces of a changed text: what went, what came. Screen readers are told by the elements themselves.
function pieces(list) {
  const tags = { removed: "del", added: "ins" };
  return list.map(([kind, text]) => (tags[kind] ? el(tags[kind], null, text) : text));
}

const plural = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;

// Seconds as minutes, seconds and hundredths: exact at any frame rate.
function clock(seconds) {
  const hundredths = Math.max(0, Math.round(seconds * 100));
  const two = (number) => String(number).padStart(2, "0");
  return `${two(Math.floor(hundredths / 6000))}:${two(Math.floor(hundredths / 100) % 60)}.${two(hundredths % 100)}`;
}

const short = (seconds) => `${Number(seconds.toFixed(2))} s`;

// ── the camera ──────────────────────────────────────────────────────────────────────────────────────────────────────

const MOVES = {
  pan_right: ["move-pan"], pan_left: ["move-pan", "x"],
  tilt_up: ["move-tilt"], tilt_down: ["move-tilt", "y"],
  truck_right: ["move-truck"], truck_left: ["move-truck", "x"],
  pedestal_up: ["move-pedestal-up"], pedestal_down: ["move-pedestal-down"],
  roll_cw: ["move-roll"], roll_ccw: ["move-roll", "x"],
  zoom_in: ["move-zoom-in"], zoom_out: ["move-zoom-out"],
  dolly_in: ["move-dolly-in"], dolly_out: ["move-dolly-out"],
  static: ["move-static"],
};

// The API's own kinds of move, as what they are made of.
const KINDS = {
  down_back: ["pedestal_down", "dolly_out"], forward_up: ["dolly_in", "pedestal_up"],
  right_turn_forward: ["pan_right", "dolly_in"], left_turn_forward: ["pan_left", "dolly_in"],
};

const known = (word) => Object.hasOwn(MOVES, word);

function drawnMoves(camera) {
  const words = camera.moves.flatMap((move) => (Object.hasOwn(KINDS, move.word) ? KINDS[move.word] : [move.word]));
  return words.filter(known).map((word) => drawing(MOVES[word][0], "move", MOVES[word][1]));
}

function meter(amount, most) {
  if (amount === null) return null;
  const ticks = Array.from({ length: Math.round(most) }, (_, index) => el("i", { class: index < amount ? "on" : "" }));
  return el("span", { class: "meter", "aria-hidden": "true" }, ticks);
}
