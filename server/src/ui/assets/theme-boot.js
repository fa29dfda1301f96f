// Applies the remembered light or dark theme before the first paint, so that the page never flashes.
// It is a classic script on purpose: modules run after parsing. theme.js owns the toggle and the key.
try {
  const theme = localStorage.getItem('elanus.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be blocked; the page then follows the system.
}
