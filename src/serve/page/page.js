"use strict";

const TEXTS = {
  en: {
    on: "On", off: "Off", mirror: "Mirror", snapshot: "Snapshot", styles: "Style", look: "Look", strength: "Strength",
    stability: "Stability", compare: "Compare with the photo", split: "Where the photo ends", fps: "Frames per second",
    latency: "Latency, ms", photo: "A photo", choose: "Choose a photo", keep: "Save the picture", drawing: "Drawing …",
    drawn: "Done in {s} s", large: "This photo is larger than 24 MB.", lost: "No connection; trying again …",
    ended: "The run has ended.", picture: "The live picture", plain: "the photo itself",
    counts: "{captured} captured, {stylized} drawn, {dropped} dropped", language: "中文",
  },
  zh: {
    on: "已开启", off: "已关闭", mirror: "镜像", snapshot: "拍照", styles: "风格", look: "效果", strength: "强度",
    stability: "稳定度", compare: "与原图对比", split: "分界位置", fps: "每秒帧数",
    latency: "延迟（毫秒）", photo: "照片", choose: "选择照片", keep: "保存图片", drawing: "绘制中……",
    drawn: "完成，用时 {s} 秒", large: "照片超过 24 MB。", lost: "连接已断开，正在重试……",
    ended: "运行已结束。", picture: "实时画面", plain: "原图",
    counts: "已采集 {captured} 帧，已绘制 {stylized} 帧，已丢弃 {dropped} 帧", language: "English",
  },
};
const MAX_PHOTO = 24 * 1024 * 1024;
const CHART_POINTS = 120;

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
const charts = { fps: [], latency: [] };

function text(key, values = {}) {
  return TEXTS[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

function translate() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = text(element.dataset.text);
  $("language").textContent = text("language");
  $("picture").alt = text("picture");
  showSettings();
  showStatus();
  showStyles();
}

function tell(message) {
  $("message").textContent = message;
  $("message").hidden = !message;
}

async function ask(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(path, { ...options, headers });
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
      tell("");
    } catch (error) {
      tell(error.message);
    }
  }
  busy = false;
  showSettings();
  showStyles();
}

function slide(id, value) {
  const input = $(id);
  if (document.activeElement !== input || !busy) input.value = value;
  $(`${id}-value`).textContent = `${Math.round(value * 100)} %`;
}

function showSettings() {
  if (!settings) return;
  $("on").setAttribute("aria-pressed", settings.on);
  $("on").textContent = text(settings.on ? "on" : "off");
  $("mirror").setAttribute("aria-pressed", settings.mirror);
  slide("strength", settings.strength);
  $("stability-label").hidden = typeof settings.stability !== "number";
  if (typeof settings.stability === "number") slide("stability", settings.stability);
  $("compare").checked = settings.split !== null;
  $("split").disabled = settings.split === null;
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
    if (style.has_thumbnail && button.firstChild.tagName === "I") {
      const image = document.createElement("img");
      image.alt = "";
      image.src = address(`/api/styles/${encodeURIComponent(style.name)}/thumbnail.jpg`);
      button.firstChild.replaceWith(image);
    }
    button.lastChild.textContent = style.name === "off" ? text("plain") : style.name;
    button.title = style.fault ?? style.description;
    button.disabled = Boolean(style.fault);
    button.setAttribute("aria-pressed", settings !== null && settings.style === style.name);
    return button;
  });
  list.replaceChildren(...buttons);
}

async function loadStyles() {
  try {
    styles = await (await ask("/api/styles")).json();
    showStyles();
  } catch (error) {
    tell(error.message);
  }
  // Those that are not drawn yet soon are; others may be added to the folder.
  setTimeout(loadStyles, styles.some((style) => !style.has_thumbnail && !style.fault) ? 1000 : 10000);
}

function showStatus() {
  if (!status) return;
  $("state").textContent = [status.source, status.size, `nijigen ${status.version}`].filter(Boolean).join(" · ");
  $("fps-value").textContent = status.recent.fps.toFixed(1);
  $("latency-value").textContent = status.recent.latency_ms.toFixed(1);
  $("counts").textContent = text("counts", status.stats);
  draw("fps", charts.fps);
  draw("latency", charts.latency);
}

function draw(id, values) {
  const canvas = $(id);
  const scale = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (!width) return;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const style = getComputedStyle(document.documentElement);
  const top = niceAbove(Math.max(...values, 1));
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = style.getPropertyValue("--soft");
  pen.strokeStyle = style.getPropertyValue("--line");
  const y = (value) => height - 6 - (value / top) * (height - 16);
  for (const value of [0, top / 2, top]) {
    pen.beginPath();
    pen.moveTo(34, y(value));
    pen.lineTo(width, y(value));
    pen.stroke();
    pen.fillText(String(value), 2, y(value) + 4);
  }
  pen.strokeStyle = style.getPropertyValue("--mark");
  pen.lineWidth = 2;
  pen.beginPath();
  values.forEach((value, n) => {
    const x = 36 + ((n + CHART_POINTS - values.length) / (CHART_POINTS - 1)) * (width - 38);
    if (n) pen.lineTo(x, y(value)); else pen.moveTo(x, y(value));
  });
  pen.stroke();
}

function niceAbove(value) {
  const step = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 10].map((factor) => factor * step).find((nice) => nice >= value);
}

/* The picture and the events stop while nobody sees the page: a browser has few connections to one server. */
let events = null;
function connect() {
  if (document.hidden) {
    events?.close();
    events = null;
    $("picture").removeAttribute("src");
    return;
  }
  if (events) return;
  $("picture").src = address(`/stream.mjpg?${Date.now()}`);
  events = new EventSource(address("/api/events"));
  events.addEventListener("settings", (event) => {
    settings = JSON.parse(event.data);
    showSettings();
    showStyles();
  });
  events.addEventListener("status", (event) => {
    status = JSON.parse(event.data);
    for (const [name, value] of [["fps", status.recent.fps], ["latency", status.recent.latency_ms]]) {
      charts[name].push(value);
      if (charts[name].length > CHART_POINTS) charts[name].shift();
    }
    showStatus();
    if (status.state === "ended") {
      events.close();
      tell(text("ended"));
    }
  });
  let lost = false;
  events.onerror = () => {
    lost = true;
    tell(text("lost"));
  };
  events.onopen = () => {
    if (!lost) return;
    lost = false;
    tell("");
    $("picture").src = address(`/stream.mjpg?${Date.now()}`);
  };
}

async function drawPhoto(file) {
  const state = $("photo-state");
  if (file.size > MAX_PHOTO) {
    state.textContent = text("large");
    return;
  }
  state.textContent = text("drawing");
  const began = performance.now();
  try {
    const picture = await (await ask("/api/image", { method: "POST", body: file })).blob();
    URL.revokeObjectURL($("drawn").src);
    $("drawn").src = $("keep").href = URL.createObjectURL(picture);
    $("drawn").hidden = $("keep").hidden = false;
    state.textContent = text("drawn", { s: ((performance.now() - began) / 1000).toFixed(1) });
  } catch (error) {
    state.textContent = error.message;
  }
}

$("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  try { localStorage.setItem("language", language); } catch { /* it is not remembered then */ }
  translate();
});
$("on").addEventListener("click", () => change({ on: !settings.on }));
$("mirror").addEventListener("click", () => change({ mirror: !settings.mirror }));
$("compare").addEventListener("change", (event) => change({ split: event.target.checked ? Number($("split").value) : null }));
for (const id of ["strength", "stability", "split"]) {
  $(id).addEventListener("input", (event) => {
    const value = Number(event.target.value);
    $(`${id}-value`).textContent = `${Math.round(value * 100)} %`;
    change({ [id]: value });
  });
}
$("snapshot").href = address("/snapshot.jpg");
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
