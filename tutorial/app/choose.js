// The door: to the language chosen before, or the first of the reader's own that there is.

let chosen;
try {
  chosen = JSON.parse(localStorage.getItem("info-nce:language"));
} catch {
  // none yet
}
const spoken = [chosen, ...navigator.languages].map((language) => String(language).toLowerCase().split("-")[0]);
const language = spoken.find((name) => ["en", "id", "zh"].includes(name)) ?? "en";
if (!new URLSearchParams(location.search).has("stay")) location.replace(`${language}/${location.hash}`);
