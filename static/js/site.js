// What htmx cannot say in attributes. Every page works without this file.

// A poll that brings no news must not disturb what somebody is reading, or about to press.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const news = detail.target.dataset.news;
  if (news && detail.serverResponse.includes(`data-news="${news}"`)) detail.shouldSwap = false;
});

// A lost connection is said in words, and taken back by the next answer.
const showOffline = (lost) => () => {
  document.getElementById("offline").hidden = !lost;
};
document.addEventListener("htmx:sendError", showOffline(true));
document.addEventListener("htmx:timeout", showOffline(true));
document.addEventListener("htmx:afterOnLoad", showOffline(false));
