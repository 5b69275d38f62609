// Before the first paint: the theme that the reader chose, so that nothing flashes. Without modules, to run at once.

try {
  const theme = JSON.parse(localStorage.getItem("info-nce:theme"));
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // the system's theme
}
document.documentElement.classList.add("scripted");
