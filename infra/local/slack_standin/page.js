// Reloads the page when a message has come, gone or changed, and keeps a reader at the bottom at the bottom.
"use strict";
const shown = document.body.dataset.revision;
const stream = document.querySelector(".stream");
if (location.hash) {
  document.querySelector(location.hash)?.scrollIntoView();
} else {
  stream.scrollTop = stream.scrollHeight;
}
setInterval(async () => {
  const atBottom = stream.scrollHeight - stream.scrollTop - stream.clientHeight < 80;
  const answer = await fetch("/revision").catch(() => null);
  if (answer?.ok && (await answer.text()) !== shown && atBottom && !document.getSelection().toString()) {
    location.reload();
  }
}, 3000);
