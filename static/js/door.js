// The door on a phone. Each scan gets a UUID here and is kept here until the shop has answered it, over whatever line,
// page and offline hours: the shop answers the same UUID the same each time, so nobody is let in twice, or lost.
// Nothing is green that the shop did not say.

const door = document.getElementById("door");
const scanForm = document.getElementById("scan-form");
const answers = document.getElementById("answers");
const waiting = document.getElementById("waiting");
const ANSWER_WITHIN = 8000; // milliseconds
const LONGEST_WAIT = 15000;
const MOST_ANSWERS = 8;

// --- What is not answered yet. It is read and written whole each time, since another tab may be at the same door.

let unkept = []; // where the browser keeps nothing

const read = () => {
  try {
    return JSON.parse(localStorage.getItem(door.dataset.queue)) ?? unkept;
  } catch {
    return unkept;
  }
};

const write = (scans) => {
  unkept = scans;
  try {
    localStorage.setItem(door.dataset.queue, JSON.stringify(scans));
  } catch {
    // Private or full: this page still knows.
  }
};

// Not crypto.randomUUID: browsers have that on secure pages only.
const newUuid = () => {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
};

// --- What is seen

const keepFew = () => {
  while (answers.children.length > MOST_ANSWERS) answers.lastElementChild.remove();
};

const blockOf = (uuid) => answers.querySelector(`[data-scan="${uuid}"]`);

const sayAsking = ({ uuid, what }) => {
  const block = document.getElementById("asking").content.firstElementChild.cloneNode(true);
  block.dataset.scan = uuid;
  block.querySelector("[data-what]").textContent = what;
  answers.prepend(block);
  keepFew();
};

const sayAnswer = (uuid, block) => {
  blockOf(uuid)?.remove();
  answers.prepend(block);
  keepFew();
  htmx.process(block);
  navigator.vibrate?.(block.dataset.outcome === "welcome" ? 80 : [200, 100, 200]);
  if (block.dataset.outcome !== "welcome") block.scrollIntoView({ block: "nearest" });
};

const sayWaiting = (why) => {
  const count = read().length;
  waiting.hidden = count === 0 && why !== "signed-out";
  waiting.querySelector("[data-count]").textContent = count;
  const reason = navigator.onLine ? why || "line" : "offline";
  for (const said of waiting.querySelectorAll("[data-why]")) said.hidden = said.dataset.why !== reason;
};

// --- Sending

// Why there is no answer, or the answer: a page of another (a hotel's network) is none.
const send = async ({ uuid, fields }) => {
  const body = new URLSearchParams({ ...fields, scan: uuid });
  body.set("csrfmiddlewaretoken", scanForm.elements.csrfmiddlewaretoken.value);
  try {
    const response = await fetch(scanForm.action, {
      method: "POST",
      body,
      headers: { "HX-Request": "true" },
      redirect: "manual",
      signal: AbortSignal.timeout(ANSWER_WITHIN),
    });
    if (response.type === "opaqueredirect") return { why: "signed-out" };
    if (response.status === 403 || response.status === 404) return { why: "stale" };
    const block = new DOMParser().parseFromString(await response.text(), "text/html").querySelector(".answer");
    const isOurs = response.ok ? block?.dataset.scan === uuid : response.status === 422 && block;
    return isOurs ? { block } : { why: "line" };
  } catch {
    return { why: "line" };
  }
};

let isSending = false;
let wait = 1000;
let timer;

const sendAll = async () => {
  if (isSending) return;
  isSending = true;
  clearTimeout(timer);
  let why = "";
  for (const scan of read()) {
    const answer = await send(scan);
    if (answer.block) {
      write(read().filter(({ uuid }) => uuid !== scan.uuid));
      sayAnswer(scan.uuid, answer.block);
      wait = 1000;
    } else {
      why = answer.why;
      if (!navigator.onLine || why !== "line") break;
    }
    sayWaiting(why);
  }
  isSending = false;
  sayWaiting(why);
  if (why) {
    timer = setTimeout(sendAll, wait);
    wait = Math.min(wait * 2, LONGEST_WAIT);
  } else if (read().length) {
    sendAll(); // scanned meanwhile
  } else {
    refresh();
  }
};

const ask = (fields, what) => {
  const scan = { uuid: newUuid(), fields, what };
  write([...read(), scan]);
  sayAsking(scan);
  sendAll();
};

const askAgainAtOnce = () => {
  wait = 1000;
  sayWaiting("");
  sendAll();
};
window.addEventListener("online", askAgainAtOnce);
window.addEventListener("offline", () => sayWaiting(""));

// --- Typed, or by name

door.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-scan-form]");
  const { code, booking, early } = form?.elements ?? {};
  if (!form) return;
  event.preventDefault();
  if (code && !code.value.trim()) {
    code.focus(); // to ask the shop what is missing would leave this page, and without a line there is no way back
  } else if (code) {
    ask({ code: code.value }, code.value);
    code.value = "";
    code.focus();
  } else {
    const button = form.querySelector("button");
    if (button.ariaDisabled) return;
    button.ariaDisabled = "true"; // until the list is fresh; disabled, it would lose the focus
    ask({ booking: booking.value, ...(early && { early: early.value }) }, form.dataset.what);
  }
});

// A key that is held down presses once: where "Let in" was, "Undo" stands a moment later.
door.addEventListener("keydown", (event) => {
  if (event.repeat && event.key === "Enter") event.preventDefault();
});

// --- The counts and the list, while there is a line

const refresh = () => {
  if (navigator.onLine && !document.hidden) htmx.trigger("#people", "refresh");
};
setInterval(refresh, 10000);
// Whoever is signed out is led to another page, which is no list.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.id !== "people" || detail.xhr.status !== 200 || detail.serverResponse.includes('id="people"')) return;
  detail.shouldSwap = false;
  sayWaiting("signed-out");
});
// That the list is not fresh needs no alarm: what is not sent is said above.
const isQuiet = ({ detail }) => {
  if (detail.elt.id === "people") document.getElementById("lost").hidden = true;
};
document.addEventListener("htmx:sendError", isQuiet);
document.addEventListener("htmx:timeout", isQuiet);

// --- The camera

const camera = document.getElementById("camera");
const [button, video, problem] = camera.children;
const SAME_AGAIN_AFTER = 4000; // milliseconds: a ticket that is still held up is not a second scan
let stream;
let last = { code: "", at: 0 };

const sayCamera = (isOn) => {
  video.hidden = !isOn;
  button.textContent = isOn ? button.dataset.stop : button.dataset.start;
  button.setAttribute("aria-pressed", String(isOn));
};

const take = (code) => {
  const isAgain = code === last.code && Date.now() - last.at < SAME_AGAIN_AFTER;
  last = { code, at: Date.now() };
  if (!isAgain) ask({ code }, code);
};

const look = async (detector) => {
  if (!stream) return;
  const [found] = await detector.detect(video).catch(() => []);
  if (found) take(found.rawValue);
  setTimeout(look, 150, detector);
};

const stop = () => {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = undefined;
  sayCamera(false);
};

const start = async () => {
  problem.hidden = true;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    video.srcObject = stream;
    sayCamera(true);
    look(new BarcodeDetector({ formats: ["qr_code"] }));
    await video.play();
  } catch {
    stop();
    problem.hidden = false;
  }
};

if ("BarcodeDetector" in window && navigator.mediaDevices) {
  camera.hidden = false;
  sayCamera(false);
  button.addEventListener("click", () => (stream ? stop() : start()));
}

for (const scan of read()) sayAsking(scan); // from before this page was loaded
askAgainAtOnce();
