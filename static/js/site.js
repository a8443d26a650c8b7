// What htmx cannot say in attributes. Every page works without this file.

// A poll that brings no news must not disturb what somebody is reading, or about to press.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const news = detail.target.dataset.news;
  if (news && detail.serverResponse.includes(`data-news="${news}"`)) detail.shouldSwap = false;
});

// Whoever pressed a button that is gone now goes on where it was, in what came instead, and not at the top of the page.
// (Nobody pressed anything where the time of a hold was over, or where a page asks again by itself.)
document.addEventListener("htmx:afterSettle", ({ detail }) => {
  const wasPressed = ["click", "submit"].includes(detail.requestConfig?.triggeringEvent?.type);
  if (!wasPressed || document.activeElement !== document.body) return;
  const place = detail.target.isConnected ? detail.target : detail.elt;
  if (!place.hasAttribute("tabindex")) place.tabIndex = -1;
  place.focus();
});

// Whoever sent something that was not right goes on there: a page with a summary has the focus on that by itself.
if (!document.querySelector("[autofocus]")) document.querySelector("main [aria-invalid='true']")?.focus();

// No answer, or one that is not in the shop's own words (a proxy's), is never met with silence.
const sayWhetherLost = (lost) => {
  document.getElementById("lost").hidden = !lost;
};
const takeBack = () => document.getElementById("sorry")?.remove();
const isOurs = ({ status, responseText }) =>
  status < 400 || status === 422 || /id="(sorry|broken)"/.test(responseText);
document.addEventListener("htmx:sendError", () => sayWhetherLost(true));
document.addEventListener("htmx:timeout", () => sayWhetherLost(true));
document.addEventListener("htmx:afterOnLoad", ({ detail }) => {
  sayWhetherLost(!isOurs(detail.xhr));
  if (detail.xhr.status < 400) takeBack();
});

// When something begins and ends on the visitor's own clock, where that shows another time than the calendar's.
const onOwnClock = (said) => {
  const say = (time, options) =>
    new Intl.DateTimeFormat(document.documentElement.lang, options).format(new Date(time.dateTime));
  const [starts, ends] = said.querySelectorAll("time");
  const day = { weekday: "long", day: "numeric", month: "long" };
  const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const whole = { ...day, ...clock };
  if (say(starts, whole) === say(starts, { ...whole, timeZone: said.dataset.zone })) return;
  starts.textContent = say(starts, whole);
  ends.textContent = say(ends, say(starts, day) === say(ends, day) ? clock : whole);
  said.hidden = false;
};
document.querySelectorAll("[data-zone]").forEach(onOwnClock);
