// How much longer what is in the basket is held. The page says so by itself; this keeps its words up to date.

const SAY_AT = [5, 2]; // minutes before the end: often enough to know, too seldom to hurry anybody
const MARGIN = 1; // seconds: the shop's clock decides, so it is asked a moment later

let shown = null; // the countdown on the page
let ends = 0; // when that is, on this device's clock
let before = 0; // seconds that were left when we last looked

const secondsLeft = () => Math.ceil((ends - Date.now()) / 1000);

const say = (sentence) => {
  document.getElementById("announcer").textContent = sentence;
};

const inWords = ({ minutes, minute, moment }, left) => {
  const whole = Math.floor(left / 60);
  if (whole < 1) return moment;
  return whole === 1 ? minute : minutes.replace("{n}", whole);
};

// What somebody has typed and not sent yet must not be lost.
const isBeingTyped = (area) =>
  [...area.querySelectorAll("input[type=number]")].some((input) => input.value !== input.defaultValue);

const end = () => {
  shown.textContent = shown.dataset.over;
  say(shown.dataset.over);
  const basket = shown.closest("#basket");
  if (!basket || !isBeingTyped(basket)) shown.dispatchEvent(new Event("over", { bubbles: true }));
};

const tick = () => {
  const left = secondsLeft();
  const passed = SAY_AT.filter((minutes) => left <= minutes * 60 && before > minutes * 60).at(-1);
  const words = shown.querySelector("[data-left]");
  const now = inWords(shown.dataset, left);
  if (left < 7200 && words.textContent !== now) words.textContent = now;
  if (left > 0 && passed) say(shown.dataset.soon.replace("{n}", passed));
  before = left;
  if (left <= -MARGIN) end();
};

const look = () => {
  const found = document.querySelector("[data-countdown]");
  if (found !== shown) {
    shown = found;
    ends = Date.now() + Number(found?.dataset.countdown) * 1000;
    before = found ? secondsLeft() : 0;
  }
  if (shown?.querySelector("[data-left]")) tick();
};

look();
setInterval(look, 1000);
