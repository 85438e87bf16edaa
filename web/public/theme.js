// Runs before the first paint, so that a theme that was chosen does not flash the other one.
try {
  const theme = localStorage.getItem('onex.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Where the browser keeps nothing, the system's setting holds.
}
