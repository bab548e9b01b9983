"use strict";

const TEXTS = {
  en: {
    on: "On", off: "Off", mirror: "Mirror", download: "Download", downloadHint: "The picture, onto this device",
    keep: "Snapshot", keepHint: "Keep the picture in the snapshots folder of the computer that nijigen runs on",
    keeping: "Taking it …", kept: "Kept on the computer as {file}", styles: "Style", look: "Look", strength: "Strength", stability: "Stability",
    mixWith: "Mixed with", mixShare: "Share of it",
    region: "Drawn part", regionAll: "Everything", regionPerson: "The person", regionBackground: "What is behind",
    enhance: "Restore the photo first", compare: "Compare with the photo", split: "Where the photo ends", fps: "Frames per second",
    drawnFrames: "drawn", sourceFrames: "from the source", latency: "Latency in ms", median: "median",
    tail: "95 % are below", ago: "60 s ago", now: "now", photo: "A photo of yours", choose: "Choose a photo",
    save: "Save the picture", drawing: "Drawing …", drawn: "Done in {s} s",
    large: "This photo is larger than 24 MiB; reduce it first.", lost: "No connection; trying again …",
    crowded: "Too many pages are open: close another one.",
    ended: "The run has ended.", picture: "The live picture", plain: "original", retrying: "No picture from the source: {reason}",
    captured: "Captured", stylized: "Drawn", dropped: "Dropped", scale: "Drawn size", cpu: "Processor", viewers: "Viewers",
    uptime: "Running for", reconnects: "Came back", language: "中文",
  },
  zh: {
    on: "已开启", off: "已关闭", mirror: "镜像", download: "下载", downloadHint: "把画面保存到这台设备",
    keep: "快照", keepHint: "把画面保存到运行 nijigen 的电脑的快照文件夹",
    keeping: "正在拍摄……", kept: "已保存到电脑：{file}", styles: "风格", look: "效果", strength: "强度", stability: "稳定度",
    mixWith: "混合风格", mixShare: "混合比例",
    region: "绘制范围", regionAll: "全部", regionPerson: "人物", regionBackground: "背景",
    enhance: "先修复照片", compare: "与原图对比", split: "分界位置", fps: "每秒帧数",
    drawnFrames: "已绘制", sourceFrames: "来自输入", latency: "延迟（毫秒）", median: "中位数",
    tail: "95% 低于此值", ago: "60 秒前", now: "现在", photo: "绘制照片", choose: "选择照片",
    save: "保存图片", drawing: "绘制中……", drawn: "完成，用时 {s} 秒",
    large: "照片超过 24 MiB，请先缩小。", lost: "连接已断开，正在重试……",
    crowded: "打开的页面太多，请关闭其他页面。",
    ended: "运行已结束。", picture: "实时画面", plain: "原图", retrying: "输入没有画面：{reason}",
    captured: "已采集", stylized: "已绘制", dropped: "已丢弃", scale: "绘制尺寸", cpu: "处理器", viewers: "观看者",
    uptime: "运行时间", reconnects: "恢复次数", language: "English",
  },
};
const MAX_PHOTO = 24 * 1024 * 1024;
/** Half seconds: a minute. */
const CHART_POINTS = 120;
/** Before a stream or events that were refused are asked for again, in milliseconds. */
const RETRY = 3000;

const $ = (id) => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token");
/** Pictures and events have no headers: their address carries the token. */
const address = (path) => (token ? `${path}${path.includes("?") ? "&" : "?"}token=${token}` : path);

function remembered(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}
let language = remembered("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
let settings = null;
let status = null;
let styles = [];
/** What the lines under the picture and the photo say: a key of TEXTS with its values, or an error's own words. */
const notes = { kept: null, "photo-state": null };
const charts = { fps: { main: [], second: [] }, latency: { main: [], second: [] } };

function text(key, values = {}) {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function note(id, said) {
  notes[id] = said;
  $(id).textContent = typeof said === "string" ? said : said ? text(...said) : "";
  $(id).hidden = !said;
}

function translate() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  for (const element of document.querySelectorAll("[data-title]")) element.title = text(element.dataset.title);
  for (const id of Object.keys(notes)) note(id, notes[id]);
  $("language").textContent = text("language");
  $("picture").alt = text("picture");
  showSettings();
  showStatus();
  showStyles();
  showMessage();
}

/* The line above all: the connection, the source, the last thing that was refused, in this order. */
const troubles = { connection: null, source: null, refusal: null };
function tell(kind, said) {
  troubles[kind] = said;
  showMessage();
}
function showMessage() {
  const said = troubles.connection ?? troubles.source ?? troubles.refusal;
  $("message").textContent = typeof said === "string" ? said : said ? text(...said) : "";
  $("message").hidden = !said;
}

async function ask(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch {
    throw new Error(text("lost"));
  }
  if (response.ok) return response;
  let why = response.statusText;
  try { why = (await response.json()).error; } catch { /* the status says what there is to say */ }
  throw new Error(why);
}

/* Changes. While one is under way the newest of the next ones waits, so that a slider does not queue. */
let waiting = null;
let busy = false;
async function change(patch) {
  waiting = { ...waiting, ...patch };
  if (busy) return;
  busy = true;
  while (waiting) {
    const body = JSON.stringify(waiting);
    waiting = null;
    try {
      settings = await (await ask("/api/settings", { method: "PATCH", body })).json();
      tell("refusal", null);
    } catch (error) {
      tell("refusal", error.message);
    }
  }
  busy = false;
  showSettings();
  showStyles();
}

const percent = (share) => `${Math.round(share * 100)} %`;

function slide(id, value) {
  const input = $(id);
  if (document.activeElement === input && busy) return;
  input.value = value;
  $(`${id}-value`).textContent = percent(value);
}

function showSettings() {
  if (!settings) return;
  $("on").setAttribute("aria-pressed", settings.on);
  $("on").textContent = text(settings.on ? "on" : "off");
  $("mirror").setAttribute("aria-pressed", settings.mirror);
  slide("strength", settings.strength);
  $("region").value = settings.region;
  $("enhance").checked = settings.enhance;
  $("stability-label").hidden = typeof settings.stability !== "number";
  if (typeof settings.stability === "number") slide("stability", settings.stability);
  $("compare").checked = settings.split !== null;
  $("split").disabled = settings.split === null;
  $("picture").classList.toggle("compares", settings.split !== null);
  slide("split", settings.split ?? 0.5);
}

function showStyles() {
  const list = $("styles");
  const old = new Map([...list.children].map((button) => [button.dataset.style, button]));
  const buttons = styles.map((style) => {
    const button = old.get(style.name) ?? document.createElement("button");
    if (!old.has(style.name)) {
      button.type = "button";
      button.dataset.style = style.name;
      button.append(document.createElement("i"), document.createElement("span"));
      button.addEventListener("click", () => change({ style: style.name }));
    }
    if (style.has_thumbnail && button.dataset.edition !== String(style.edition)) {
      button.dataset.edition = style.edition;
      const image = document.createElement("img");
      image.alt = "";
      image.src = address(`/api/styles/${encodeURIComponent(style.name)}/thumbnail.jpg?edition=${style.edition}`);
      button.firstChild.replaceWith(image);
    }
    button.lastChild.textContent = style.name === "off" ? text("plain") : style.name;
    button.title = style.fault ?? style.description;
    button.disabled = Boolean(style.fault);
    button.setAttribute("aria-pressed", settings !== null && mixture().main === style.name);
    return button;
  });
  // Moved only where they differ, so that the one with the focus keeps it.
  if (buttons.some((button, n) => list.children[n] !== button) || list.children.length !== buttons.length) {
    list.replaceChildren(...buttons);
  }
  showMixing();
  $("enhance-label").hidden = !styles.some((style) => style.name === "restore");
  $("region-label").hidden = !styles.some((style) => settings && style.name === mixture().main && style.has_person_mask);
}

/** What the style in the settings is: one alone, or two of which the second has a share. */
function mixture() {
  const parts = settings.style.split("+").map((part) => /^(.*):([0-9.]+)$/.exec(part));
  if (parts.length !== 2 || parts.includes(null)) return { main: settings.style, other: null, share: 0 };
  const [[, main, first], [, other, second]] = parts;
  return { main, other, share: Number(second) / (Number(first) + Number(second)) };
}

/** The styles that the one that is worn can be mixed with. */
function partners() {
  const base = (name) => styles.find((style) => style.name === name)?.base ?? null;
  const { main } = mixture();
  const own = base(main);
  return own === null ? [] : styles.filter((style) => style.base === own && style.name !== main && !style.fault);
}

function showMixing() {
  if (!settings) return;
  const { other, share } = mixture();
  const names = partners().map((style) => style.name);
  $("mixing").hidden = names.length === 0;
  const list = $("other");
  if ([...list.options].map((option) => option.value).join() !== names.join()) {
    const chosen = list.value;
    list.replaceChildren(...names.map((name) => new Option(name)));
    if (names.includes(chosen)) list.value = chosen;
  }
  if (other !== null) list.value = other;
  slide("share", share);
}

function mix() {
  const { main } = mixture();
  const [other, share] = [$("other").value, Number($("share").value)];
  change({ style: share === 0 ? main : `${main}:${(1 - share).toFixed(2)}+${other}:${share.toFixed(2)}` });
}

async function loadStyles() {
  if (!document.hidden) {
    try {
      styles = await (await ask("/api/styles")).json();
      showStyles();
    } catch { /* that there is no connection is told by the events */ }
  }
  // Those that are not drawn yet soon are; others may be added to the folder.
  setTimeout(loadStyles, styles.some((style) => !style.has_thumbnail && !style.fault) ? 1000 : 10000);
}

function clock(seconds) {
  const two = (value) => String(Math.floor(value)).padStart(2, "0");
  return `${two(seconds / 3600)}:${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
}

function showStatus() {
  if (!status) return;
  const { stats, recent } = status;
  const source = stats.source_status ?? { state: "running", reconnects: 0 };
  $("dot").className = status.state === "running" ? source.state : status.state;
  $("state-text").textContent = [status.source, status.size, `nijigen ${status.version}`].filter(Boolean).join(" · ");
  tell("source", source.state === "retrying" ? ["retrying", { reason: source.reason }] : null);
  $("fps-value").textContent = recent.fps.toFixed(1);
  $("latency-value").textContent = recent.latency_ms.p50.toFixed(1);
  const count = (value) => value.toLocaleString(document.documentElement.lang);
  const figures = [
    ["captured", count(stats.captured)], ["stylized", count(stats.stylized)], ["dropped", count(stats.dropped)],
    ["scale", percent(stats.scale), stats.scale < 1], ["viewers", count(status.stream_readers)],
    ["uptime", clock(status.uptime_seconds)],
  ];
  if (stats.cpu_percent !== null) figures.splice(4, 0, ["cpu", `${Math.round(stats.cpu_percent)} %`]);
  if (source.reconnects > 0) figures.push(["reconnects", count(source.reconnects), true]);
  $("figures").replaceChildren(...figures.map(([key, value, warns]) => {
    const figure = document.createElement("div");
    const name = figure.appendChild(document.createElement("dt"));
    const shown = figure.appendChild(document.createElement("dd"));
    name.textContent = text(key);
    shown.textContent = value;
    shown.classList.toggle("warn", Boolean(warns));
    return figure;
  }));
  for (const id of Object.keys(charts)) {
    draw($(id), charts[id]);
    $(id).setAttribute("aria-label", `${text(id)}: ${$(`${id}-value`).textContent}`);
  }
}

function chart(id, main, second) {
  for (const [values, value] of [[charts[id].main, main], [charts[id].second, second]]) {
    values.push(value);
    if (values.length > CHART_POINTS) values.shift();
  }
}

function draw(canvas, { main, second }) {
  const scale = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width) return;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
  const [left, top, right, bottom] = [36, 6, width - 2, height - 18];
  const most = niceAbove(Math.max(...main, ...second, 1));
  const x = (n, count) => left + ((n + CHART_POINTS - count) / (CHART_POINTS - 1)) * (right - left);
  const y = (value) => bottom - (value / most) * (bottom - top);
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = colour("--soft");
  pen.strokeStyle = colour("--line");
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  for (const value of [0, most / 2, most]) {
    const line = Math.round(y(value)) + 0.5;
    pen.beginPath();
    pen.moveTo(left, line);
    pen.lineTo(right, line);
    pen.stroke();
    pen.fillText(String(value), left - 6, line);
  }
  pen.textBaseline = "alphabetic";
  pen.fillText(text("now"), right, height - 3);
  pen.textAlign = "left";
  pen.fillText(text("ago"), left, height - 3);
  pen.lineJoin = "round";
  for (const [values, name, thickness] of [[second, "--second", 1.5], [main, "--mark", 2]]) {
    pen.beginPath();
    values.forEach((value, n) => pen[n ? "lineTo" : "moveTo"](x(n, values.length), y(value)));
    pen.strokeStyle = colour(name);
    pen.lineWidth = thickness;
    pen.stroke();
  }
}

function niceAbove(value) {
  const step = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 10].map((factor) => factor * step).find((nice) => nice >= value);
}

/* The picture and the events stop while nobody sees the page: a browser has few connections to one server. */
let events = null;
function connect() {
  events?.close();
  events = null;
  if (document.hidden) {
    $("picture").removeAttribute("src");
    return;
  }
  showPicture();
  const source = new EventSource(address("/api/events"));
  events = source;
  let [lost, ended] = [false, false];
  source.addEventListener("settings", (event) => {
    const heard = JSON.parse(event.data);
    // What is under way here is newer.
    if (!busy) settings = heard;
    showSettings();
    showStyles();
  });
  source.addEventListener("status", (event) => {
    status = JSON.parse(event.data);
    const { recent } = status;
    chart("fps", recent.fps, recent.capture_fps);
    chart("latency", recent.latency_ms.p50, recent.latency_ms.p95);
    showStatus();
    ended = status.state === "ended";
    if (ended) tell("connection", ["ended"]);
  });
  source.onerror = () => {
    lost = true;
    if (!ended) tell("connection", ["lost"]);
    $("dot").className = "";
    // The browser tries again by itself, but not where it was answered with a refusal.
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(() => events === source && connect(), RETRY);
    // Why it was refused is not told; where all else is answered, too many listen.
    ask("/api/status").then(() => events === source && tell("connection", ["crowded"])).catch(() => {});
  };
  source.onopen = () => {
    tell("connection", null);
    if (lost) showPicture();
    lost = false;
  };
}

function showPicture() {
  $("picture").src = address(`/stream.mjpg?${Date.now()}`);
}

async function drawPhoto(file) {
  if (file.size > MAX_PHOTO) return note("photo-state", ["large"]);
  note("photo-state", ["drawing"]);
  const began = performance.now();
  try {
    const picture = await (await ask("/api/image", { method: "POST", body: file })).blob();
    URL.revokeObjectURL($("drawn").src);
    $("drawn").src = $("save").href = URL.createObjectURL(picture);
    $("drawn").hidden = $("save").hidden = false;
    note("photo-state", ["drawn", { s: ((performance.now() - began) / 1000).toFixed(1) }]);
  } catch (error) {
    note("photo-state", error.message);
  }
}

/** Moves the border of the comparison to where the pointer is on the picture, which may have bars beside it. */
function splitAt(event) {
  const picture = $("picture");
  if (!settings || settings.split === null || !picture.naturalHeight) return;
  const box = picture.getBoundingClientRect();
  const width = Math.min(box.width, (box.height * picture.naturalWidth) / picture.naturalHeight);
  const share = (event.clientX - box.left - (box.width - width) / 2) / width;
  const split = Math.round(Math.min(1, Math.max(0, share)) * 100) / 100;
  $("split").value = split;
  $("split-value").textContent = percent(split);
  change({ split });
}

$("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  try { localStorage.setItem("language", language); } catch { /* it is not remembered then */ }
  translate();
});
$("on").addEventListener("click", () => settings && change({ on: !settings.on }));
$("mirror").addEventListener("click", () => settings && change({ mirror: !settings.mirror }));
$("compare").addEventListener("change", (event) => change({ split: event.target.checked ? Number($("split").value) : null }));
$("share").addEventListener("input", () => {
  $("share-value").textContent = percent(Number($("share").value));
  mix();
});
$("other").addEventListener("change", () => mixture().other !== null && mix());
$("region").addEventListener("change", (event) => change({ region: event.target.value }));
$("enhance").addEventListener("change", (event) => change({ enhance: event.target.checked }));
for (const id of ["strength", "stability", "split"]) {
  $(id).addEventListener("input", (event) => {
    const value = Number(event.target.value);
    $(`${id}-value`).textContent = percent(value);
    change({ [id]: value });
  });
}
$("picture").addEventListener("pointerdown", (event) => {
  $("picture").setPointerCapture(event.pointerId);
  splitAt(event);
});
$("picture").addEventListener("pointermove", (event) => event.buttons && splitAt(event));
$("picture").addEventListener("error", () => setTimeout(() => events && showPicture(), RETRY));
$("snapshot").href = address("/snapshot.jpg");
$("keep").addEventListener("click", async () => {
  note("kept", ["keeping"]);
  try {
    note("kept", ["kept", await (await ask("/api/snapshot", { method: "POST" })).json()]);
  } catch (error) {
    note("kept", error.message);
  }
});
$("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) drawPhoto(file);
  event.target.value = "";
});
document.addEventListener("visibilitychange", connect);
addEventListener("resize", showStatus);

translate();
connect();
loadStyles();
