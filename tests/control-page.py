#!/usr/bin/env python3
"""The control page, tried in headless Chromium: the picture moves, each control works, in both languages and at phone
width.

    tests/control-page.py BINARY [FOLDER FOR SCREENSHOTS]

Needs Chromium, a font for Chinese and the module websocket, which it installs where they are missing (Debian, as root).
One line is printed for each check; the exit status is 0 only if every check held.
"""
import base64, json, os, re, shutil, subprocess, sys, tempfile, time, urllib.error, urllib.request

PYTHON = "/usr/bin/python3"
PACKAGES = ["chromium", "fonts-noto-cjk", "python3", "python3-websocket"]


def missing():
    """Whether the distribution's Python, whose modules its packages are, has to be asked for what we need."""
    has = os.path.exists(PYTHON) and subprocess.run([PYTHON, "-c", "import websocket"], stderr=subprocess.DEVNULL).returncode == 0
    return not has or not shutil.which("chromium") or not os.path.isdir("/usr/share/fonts/opentype/noto")


if missing():
    for step in (["update"], ["install", "-y", "--no-install-recommends", *PACKAGES]):
        subprocess.run(["apt-get", "-qq", *step], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
try:
    import websocket
except ImportError:
    # A Python of one's own comes first in the path.
    if sys.executable == PYTHON:
        raise
    os.execv(PYTHON, [PYTHON, *sys.argv])

binary = os.path.realpath(sys.argv[1])
shots = sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp()
os.makedirs(shots, exist_ok=True)
here = os.path.dirname(os.path.realpath(__file__))
photo = os.path.join(here, "..", "examples", "man-garden.jpg")
TOKEN = "a-token-for-a-test"
PATIENCE = 90
failed = 0


def check(sentence, held, what=""):
    global failed
    print("ok     " if held else "FAILED ", sentence, "" if held else what, flush=True)
    failed += not held


class Page:
    """A page of Chromium, over its DevTools protocol."""

    def __init__(self, port):
        pages = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json"))
        url = next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page")
        self.socket = websocket.create_connection(url, timeout=PATIENCE, suppress_origin=True)
        self.count, self.troubles, self.asked = 0, [], []
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        self.count += 1
        self.socket.send(json.dumps({"id": self.count, "method": method, "params": params}))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.troubles.append(answer["params"])
            if answer.get("method") == "Network.requestWillBeSent":
                self.asked.append(answer["params"]["request"]["url"])

    def run(self, script):
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, script):
        began = time.time()
        while time.time() - began < PATIENCE:
            if self.run(script):
                return True
            time.sleep(0.1)
        return False

    def size(self, width, height, phone):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1,
                  mobile=phone)

    def click(self, selector):
        place = self.run(f"""(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});
            const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def picture(self, clip):
        return self.call("Page.captureScreenshot", format="png", clip=clip)["data"]

    def save(self, name):
        height = self.run("document.documentElement.scrollHeight")
        width = self.run("document.documentElement.clientWidth")
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                         clip=dict(x=0, y=0, width=width, height=height, scale=1))["data"]
        with open(os.path.join(shots, name), "wb") as file:
            file.write(base64.b64decode(data))


def take_all_places(address):
    """Takes places for events until there is none."""
    taken = []
    while True:
        request = urllib.request.Request(address + "/api/events", headers={"Authorization": f"Bearer {TOKEN}"})
        try:
            taken.append(urllib.request.urlopen(request))
        except urllib.error.HTTPError as error:
            assert error.code == 503, error
            return taken


def main():
    snapshots = tempfile.mkdtemp()
    program = subprocess.Popen(
        [binary, "run", "--source", "synthetic", "--size", "320x240", "--fps", "15", "--serve", "127.0.0.1:0", "--token", TOKEN,
         "--snapshots", snapshots],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "XDG_DATA_HOME": "/nowhere/at/all"})
    line = program.stderr.readline()
    address = re.match(r"serving at (http://[^/]+)/", line).group(1)

    def settings():
        request = urllib.request.Request(address + "/api/settings", headers={"Authorization": f"Bearer {TOKEN}"})
        return json.load(urllib.request.urlopen(request))

    def becomes(sentence, name, value):
        began = time.time()
        while settings()[name] != value and time.time() - began < PATIENCE:
            time.sleep(0.1)
        check(sentence, settings()[name] == value, f"{name} is {settings()[name]}")

    profile = tempfile.mkdtemp()
    browser = subprocess.Popen(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--lang=en-US",
         f"--user-data-dir={profile}", "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        for line in browser.stderr:
            if found := re.search(r"ws://127\.0\.0\.1:(\d+)/", line):
                break
        page = Page(found.group(1))
        page.size(1280, 900, False)
        page.call("Page.navigate", url=f"{address}/?token={TOKEN}")
        check("the page shows the picture", page.wait("document.querySelector('#picture')?.naturalWidth === 320"))
        box = page.run("(() => { const r = document.querySelector('#picture').getBoundingClientRect(); return {x: r.x, y: r.y, width: r.width, height: r.height, scale: 1}; })()")
        first, moved = page.picture(box), False
        for _ in range(100):
            time.sleep(0.1)
            moved = page.picture(box) != first
            if moved:
                break
        check("the picture moves", moved)
        check("styles have thumbnails", page.wait(
            "[...document.querySelectorAll('#styles img')].length >= 2 && [...document.querySelectorAll('#styles img')].every(i => i.naturalWidth === 160)"))
        check("charts have values", page.wait("Number(document.querySelector('#fps-value').textContent) > 0 && Number(document.querySelector('#latency-value').textContent) > 0"))
        check("it is in English", page.run("document.querySelector('[data-text=strength]').textContent") == "Strength")

        page.click("[data-style=off]")
        becomes("a style is chosen", "style", "off")
        page.click("[data-style=anime]")
        becomes("and another", "style", "anime")
        check("the sizes of a style are no partners for a mixture", page.wait(
            "[...document.querySelectorAll('#other option')].map(o => o.value).join() === 'comic,film,ink,oil,watercolour'"))
        choose = "(() => {{ const e = document.querySelector('#{0}'); e.value = '{1}'; e.dispatchEvent(new Event('change')); }})()"
        slide = "(() => {{ const e = document.querySelector('#{0}'); e.value = {1}; e.dispatchEvent(new Event('input', {{bubbles: true}})); }})()"
        page.run(choose.format("other", "film"))
        page.run(slide.format("share", 0.4))
        becomes("another is mixed into it", "style", "anime:0.60+film:0.40")
        page.run(choose.format("other", "comic"))
        becomes("and another in its place", "style", "anime:0.60+comic:0.40")
        page.run(slide.format("share", 0))
        becomes("and none again", "style", "anime")
        page.click("#on")
        becomes("it is switched off", "on", False)
        check("and shown so", page.wait("document.querySelector('#on').textContent === 'Off'"))
        page.click("#on")
        becomes("and on", "on", True)
        page.click("#mirror")
        becomes("it is mirrored", "mirror", True)
        page.run(slide.format("strength", 0.5))
        becomes("the strength slides", "strength", 0.5)
        page.run(choose.format("region", "person"))
        becomes("only the person is drawn", "region", "person")
        page.run(choose.format("region", "all"))
        becomes("and everything again", "region", "all")
        page.click("#compare")
        becomes("the comparison is on", "split", 0.5)
        page.run(slide.format("split", 0.25))
        becomes("its line moves", "split", 0.25)
        # The last click may have scrolled it out of sight.
        box = page.run("(() => { const p = document.querySelector('#picture'); p.scrollIntoView({behavior: 'instant'}); const r = p.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; })()")
        # The picture is 4:3, and may have bars beside it.
        width = min(box[2], box[3] * 4 / 3)
        for kind, at in (("mousePressed", 0.3), ("mouseMoved", 0.75), ("mouseReleased", 0.75)):
            page.call("Input.dispatchMouseEvent", type=kind, x=box[0] + (box[2] - width) / 2 + width * at,
                      y=box[1] + box[3] / 2, button="left", buttons=0 if kind == "mouseReleased" else 1, clickCount=1)
        becomes("it is dragged in the picture", "split", 0.75)
        page.wait("Number(document.querySelector('#fps-value').textContent) > 0")
        time.sleep(3)
        page.save("desktop-en.png")
        page.click("#compare")
        becomes("the comparison is off", "split", None)
        request = urllib.request.Request(address + "/api/settings", method="PATCH", data=b'{"strength": 0.75}',
                                         headers={"Authorization": f"Bearer {TOKEN}"})
        urllib.request.urlopen(request).read()
        check("what others change is shown", page.wait("document.querySelector('#strength').value === '0.75'"))
        size = page.run("fetch(document.querySelector('#snapshot').href).then(r => r.blob()).then(b => createImageBitmap(b)).then(i => [i.width, i.height])")
        check("a snapshot is a picture", size == [320, 240], size)
        page.click("#keep")
        check("a snapshot is kept", page.wait("document.querySelector('#kept').textContent.includes('nijigen-')")
              and [len(files) for _, _, files in os.walk(snapshots)] == [1], os.listdir(snapshots))
        node = page.call("DOM.querySelector", nodeId=page.call("DOM.getDocument")["root"]["nodeId"], selector="#file")["nodeId"]
        page.call("DOM.setFileInputFiles", nodeId=node, files=[os.path.realpath(photo)])
        check("a photo is drawn", page.wait("document.querySelector('#drawn').naturalWidth === 640"),
              page.run("document.querySelector('#photo-state').textContent"))
        page.click("#language")
        time.sleep(1)
        check("it is in Chinese", page.run("document.querySelector('[data-text=strength]').textContent") == "强度")
        page.save("desktop-zh.png")
        page.size(390, 844, True)
        time.sleep(1)
        check("nothing is wider than a phone", page.run("document.documentElement.scrollWidth <= 390"))
        page.save("phone-zh.png")
        page.click("#language")
        time.sleep(1)
        page.save("phone-en.png")
        # Others hold the places for events: the page says so, and recovers when one is free.
        page.call("Page.navigate", url="about:blank")
        time.sleep(2)
        others = take_all_places(address)
        page.call("Page.navigate", url=f"{address}/?token={TOKEN}")
        check("that too many pages are open is told", page.wait(
            "document.querySelector('#message')?.textContent.includes('pages are open')"))
        for other in others:
            other.close()
        check("and forgotten when there are fewer", page.wait("document.querySelector('#message').hidden && Number(document.querySelector('#fps-value').textContent) > 0"))
        page.troubles = [t for t in page.troubles if not ("503" in json.dumps(t) and "/api/events" in json.dumps(t))]
        foreign = [url for url in page.asked if not url.startswith((address, "data:", "blob:", "about:"))]
        check("nothing is loaded from elsewhere", not foreign, foreign)
        check("no error is in the console", not page.troubles, json.dumps(page.troubles[:1])[:1000])
        program.terminate()
        check("the end is told", page.wait("!document.querySelector('#message').hidden"))
        check("the run ends well", program.wait(30) == 0)
    finally:
        program.kill()
        browser.kill()
    print("screenshots:", shots)
    sys.exit(failed > 0)


main()
