// The page shows what the script says and tells it what is wished. All text is set as text: a clip's name is no markup.
const KEY = "anyportal-key";
const COLOURS = ["Orange", "Apricot", "Yellow", "Lime", "Olive", "Green", "Teal", "Navy", "Blue", "Purple", "Violet", "Pink",
  "Tan", "Beige", "Brown", "Chocolate"];
const WORKING = ["waiting", "rendering", "working", "placing"];
const STATES = { waiting: "waiting", rendering: "rendering in Resolve", placing: "placing", done: "done", failed: "failed",
  cancelled: "cancelled", ready: "" };
const $ = (id) => document.getElementById(id);
const chosenOf = (name) => document.querySelector(`input[name=${name}]:checked`)?.value ?? "";

let key = sessionStorage.getItem(KEY) ?? "";
let revision = 0;
let clips = [];
let presets = [];
let daemons = "";
let daemon = "";
let finding = "";
let working = false;
const unticked = new Set();
const rows = new Map();

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { "Content-Type": "application/json", "X-AnyPortal-Key": key } });
  if (answer.ok) return answer;
  const refused = Object.assign(new Error(), { message: `the window answers ${answer.status}`, status: answer.status });
  throw Object.assign(refused, await answer.json().catch(() => ({})));
}

const post = (path, body, more = {}) => ask(path, { method: "POST", body: JSON.stringify(body), ...more });

async function open() {
  const token = location.hash.slice(1);
  if (token && document.getElementById(token) === null) {
    history.replaceState(null, "", "/");
    key = (await (await post("/session", { token })).json()).key;
    sessionStorage.setItem(KEY, key);
  }
}

async function follow() {
  let failures = 0;
  for (;;) {
    try {
      const told = await (await ask(`/state?after=${revision}`)).json();
      failures = 0;
      if (told.revision !== revision) {
        revision = told.revision;
        show(told.state);
      }
    } catch (error) {
      failures += 1;
      if (error.status || failures > 3) return over(error);
      await new Promise((resolve) => setTimeout(resolve, 500 * failures));
    }
  }
}

function over(error) {
  const known = Boolean(error.status);
  notice([{ message: known ? error.message : "This window is closed", hint: known ? error.hint
    : "AnyPortal has ended in the host. Start it again from the host's menu; what was finished is in the timeline.", bad: known }]);
  for (const control of document.querySelectorAll("button, input, select, textarea")) control.disabled = true;
}

function notice(list) {
  $("notices").replaceChildren(...list.map((each) => {
    const line = document.createElement("p");
    line.className = each.bad ? "bad" : "";
    line.append(each.message);
    if (each.hint) {
      const hint = document.createElement("span");
      hint.textContent = ` ${each.hint}`;
      line.append(hint);
    }
    return line;
  }));
}

function show(state) {
  const host = state.host ?? {};
  $("where").textContent = [[host.name, host.version].filter(Boolean).join(" "), host.project, host.timeline].filter(Boolean).join(" · ");
  document.title = host.timeline ? `${host.timeline} · AnyPortal` : "AnyPortal";
  clips = state.clips ?? [];
  working = Boolean(state.working);
  notice(state.notices ?? []);
  showScope(state);
  showDaemons(state);
  showPresets(state.presets ?? []);
  showClips();
  $("empty").textContent = state.looking ? "Looking at the timeline …" : state.empty || "No clips here.";
  $("empty").hidden = clips.length > 0;
  showSums();
}

function showScope(state) {
  for (const radio of document.querySelectorAll("input[name=scope]")) {
    radio.checked = radio.value === state.scope;
    radio.disabled = working;
  }
  $("mark-label").hidden = state.scope !== "marked";
  $("mark").value = state.mark ?? "Orange";
  $("again").disabled = working;
}

function showDaemons(state) {
  const list = state.daemons ?? [];
  const before = state.daemon === daemon && daemons ? $("daemon").value : state.daemon ?? "";
  if (JSON.stringify(list) !== daemons) {
    daemons = JSON.stringify(list);
    $("daemon").replaceChildren(...list.map((each) => new Option(each.text, each.daemon)));
  }
  daemon = state.daemon;
  $("daemon").value = list.some((each) => each.daemon === before) ? before : state.daemon ?? "";
  $("daemon-row").hidden = list.length === 0;
  $("daemon").disabled = $("find").disabled = working;
  $("find").disabled ||= Boolean(state.finding);
  finding = state.finding ? "looking for others …" : state.daemons_note ?? "";
  showDaemon();
}

// A list that is closed has no room for more than a name.
function showDaemon() {
  const [, ...facts] = ($("daemon").selectedOptions[0]?.text ?? "").split(", ");
  $("daemon-hint").textContent = [facts.join(", "), finding].filter(Boolean).join(" · ");
}

function showPresets(list) {
  if (JSON.stringify(list) === JSON.stringify(presets)) return;
  presets = list;
  const before = $("preset").value;
  $("preset").replaceChildren(...list.map((preset) => {
    const option = new Option(preset.name, preset.name);
    option.disabled = Boolean(preset.unavailable);
    return option;
  }));
  const usable = list.filter((preset) => !preset.unavailable);
  if (usable.length) $("preset").value = (usable.find((each) => each.name === before) ?? usable.find((each) => each.name === "draft") ?? usable[0]).name;
  showPreset();
}

function showPreset() {
  const preset = presets.find((each) => each.name === $("preset").value);
  const takes = preset?.backdrops ?? ["still", "clip", "colour", "prompt"];
  const unavailable = presets.filter((each) => each.unavailable).map((each) => `${each.name}: ${each.unavailable}`);
  $("preset-hint").textContent = [preset?.summary, ...unavailable].filter(Boolean).join(" ");
  const possible = { file: takes.includes("still") || takes.includes("clip"), colour: takes.includes("colour"), words: takes.includes("prompt") };
  for (const radio of document.querySelectorAll("input[name=backdrop_kind]")) {
    radio.disabled = !possible[radio.value];
    radio.parentElement.title = radio.disabled ? `not with the preset ${preset.name}` : "";
  }
  if (!possible[chosenOf("backdrop_kind")]) {
    const first = Object.keys(possible).find((each) => possible[each]);
    if (first) document.querySelector(`input[name=backdrop_kind][value=${first}]`).checked = true;
  }
  showFields();
}

function showFields() {
  for (const field of document.querySelectorAll("[data-for]")) field.hidden = field.dataset.for !== chosenOf("backdrop_kind");
  $("matte-field").hidden = !["file", "mask"].includes($("matte-kind").value);
  $("matte").placeholder = $("matte-kind").value === "mask" ? "/full/path/mask.png" : "/full/path/matte.%04d.exr";
  $("colour-text").textContent = $("backdrop-colour").value;
}

function showClips() {
  const ids = new Set(clips.map((clip) => clip.id));
  for (const [id, row] of rows) if (!ids.has(id)) { row.item.remove(); rows.delete(id); }
  clips.forEach((clip, place) => {
    const row = rows.get(clip.id) ?? newRow(clip.id);
    if ($("clips").children[place] !== row.item) $("clips").insertBefore(row.item, $("clips").children[place] ?? null);
    showClip(row, clip);
  });
}

function newRow(id) {
  const item = $("clip").content.firstElementChild.cloneNode(true);
  const find = (selector) => item.querySelector(selector);
  const row = { item, find, seen: {} };
  rows.set(id, row);
  find(".choose").addEventListener("change", (event) => {
    event.target.checked ? unticked.delete(id) : unticked.add(id);
    showSums();
  });
  const slider = find(".compare input");
  slider.addEventListener("input", () => find(".compare").style.setProperty("--at", `${slider.value}%`));
  find(".large").addEventListener("click", (event) => {
    const large = item.classList.toggle("large");
    event.target.textContent = large ? "Compare small" : "Compare large";
    event.target.setAttribute("aria-pressed", String(large));
  });
  return row;
}

function showClip(row, clip) {
  const { find, item } = row;
  const state = clip.refused ? "refused" : clip.state ?? "ready";
  item.classList.remove("refused", ...Object.keys(STATES), "working");
  item.classList.add(state);
  find(".name").textContent = clip.name;
  find(".choose").disabled = Boolean(clip.refused) || working;
  find(".choose").checked = !clip.refused && !unticked.has(clip.id);
  find(".facts").textContent = clip.facts ?? "";
  find(".notes").replaceChildren(...(clip.notes ?? []).map((note) => Object.assign(document.createElement("li"), { textContent: note })));
  find(".doing").hidden = state === "ready" || state === "refused" || state === "failed";
  find("progress").hidden = !WORKING.includes(state);
  find("progress").value = clip.fraction ?? 0;
  find("progress").setAttribute("aria-label", clip.name);
  find(".stage").textContent = state === "working" ? clip.stage || "working" : clip.said || STATES[state] || "";
  const problem = clip.refused || (state === "failed" ? clip.message : "");
  find(".problem").hidden = !problem;
  find(".problem .message").textContent = problem || "";
  find(".problem .todo").textContent = clip.hint ?? "";
  showPictures(row, clip);
}

function showPictures(row, clip) {
  const { find } = row;
  const both = Boolean(clip.before && clip.after);
  find(".compare").classList.toggle("two", both);
  find(".nothing").hidden = Boolean(clip.before || clip.after);
  for (const part of find(".compare").querySelectorAll("i, .tag, input")) part.hidden = !both;
  find(".compare input").setAttribute("aria-label", `Compare before and after: ${clip.name}`);
  find(".large").hidden = !both;
  for (const side of ["before", "after"]) {
    const picture = find(`img.${side}`);
    if (row.seen[side] === clip[side]) continue;
    row.seen[side] = clip[side];
    picture.hidden = !clip[side];
    picture.alt = clip[side] ? `${clip.name}, ${side}` : "";
    if (clip[side]) load(picture, clip, side, row);
  }
}

async function load(picture, clip, side, row) {
  try {
    const answer = await ask(`/still/${encodeURIComponent(clip.id)}/${side}`);
    const address = URL.createObjectURL(await answer.blob());
    const before = picture.src;
    picture.src = address;
    if (before) URL.revokeObjectURL(before);
  } catch {
    picture.hidden = true;
    if (side === "before") row.find(".nothing").hidden = false;
  }
}

const chosen = () => clips.filter((clip) => !clip.refused && !unticked.has(clip.id)).map((clip) => clip.id);

function showSums() {
  const can = clips.filter((clip) => !clip.refused).length;
  const count = chosen().length;
  $("chosen").textContent = can ? `${count} of ${can} ${can === 1 ? "clip" : "clips"} chosen` : "Nothing to choose";
  $("all").checked = can > 0 && count === can;
  $("all").indeterminate = count > 0 && count < can;
  $("all").disabled = working || can === 0;
  $("go").textContent = count > 1 ? `Replace background of ${count} clips` : "Replace background";
  $("go").disabled = working || count === 0;
  $("cancel").hidden = !working;
  $("cancel").disabled = false;
  showOverall();
}

function showOverall() {
  const busy = clips.filter((clip) => WORKING.includes(clip.state) || (clip.inRun && clip.state !== "ready"));
  const ended = busy.filter((clip) => !WORKING.includes(clip.state));
  $("overall").hidden = busy.length === 0;
  $("overall-bar").value = busy.reduce((sum, clip) => sum + (WORKING.includes(clip.state) ? clip.fraction ?? 0 : 1), 0) / (busy.length || 1);
  const failed = busy.filter((clip) => clip.state === "failed").length;
  $("overall-text").textContent = `${ended.length} of ${busy.length} ended${failed ? `, ${failed} failed` : ""}`;
}

function wanted() {
  const kind = chosenOf("backdrop_kind");
  return {
    action: "go", clips: chosen(), backdrop_kind: kind, backdrop: $(`backdrop-${kind}`).value, matte_kind: $("matte-kind").value,
    matte: $("matte").value, preset: $("preset").value, subject: $("subject").value, seed: $("seed").valueAsNumber || 0,
    settings: $("settings").value, format: $("format").value, daemon: $("daemon").value, ...how(),
  };
}

async function wish(table) {
  for (const place of document.querySelectorAll(".wrong")) place.textContent = "";
  try {
    await post("/wish", table);
    return true;
  } catch (error) {
    const place = $(`wrong-${error.field}`) ?? $("wrong");
    place.textContent = [error.message, error.hint].filter(Boolean).join(": ");
    ($({ backdrop: `backdrop-${chosenOf("backdrop_kind")}` }[error.field] ?? error.field))?.focus?.();
    return false;
  }
}

const how = () => ({ handles: $("handles").valueAsNumber || 0, placement: chosenOf("placement") });
const look = () => !working && wish({ action: "look", scope: chosenOf("scope") || "current", mark: $("mark").value, ...how() });

$("mark").append(...COLOURS.map((colour) => new Option(colour, colour)));
for (const radio of document.querySelectorAll("input[name=scope]")) radio.addEventListener("change", look);
for (const radio of document.querySelectorAll("input[name=backdrop_kind]")) radio.addEventListener("change", showFields);
$("mark").addEventListener("change", look);
$("again").addEventListener("click", look);
$("handles").addEventListener("change", look);
for (const radio of document.querySelectorAll("input[name=placement]")) radio.addEventListener("change", look);
const take = () => wish({ action: "daemon", daemon: $("daemon").value });
$("daemon").addEventListener("change", () => { showDaemon(); take(); });
$("find").addEventListener("click", take);
$("preset").addEventListener("change", showPreset);
$("matte-kind").addEventListener("change", showFields);
$("backdrop-colour").addEventListener("input", showFields);
$("all").addEventListener("change", (event) => {
  for (const clip of clips) event.target.checked ? unticked.delete(clip.id) : unticked.add(clip.id);
  showClips();
  showSums();
});
$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("go").disabled = true;
  if (!(await wish(wanted()))) showSums();
});
$("cancel").addEventListener("click", async () => {
  $("cancel").disabled = true;
  await wish({ action: "cancel" });
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !$("go").disabled) $("form").requestSubmit();
});
addEventListener("pagehide", () => key && post("/leave", {}, { keepalive: true }).catch(() => {}));

showFields();
open().then(follow).catch(over);
