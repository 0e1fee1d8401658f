/** `npm run bench [-- name ...]`: each prints machine, commit, settings and ratios. */
const BENCHES: Record<string, () => Promise<{ run: () => Promise<void> }>> = {
  pricing: () => import('./pricing.js'),
  append: () => import('./append.js'),
  'end-to-end': () => import('./end-to-end.js'),
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  console.error(`no such benchmark: ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}`);
  process.exit(2);
}
for (const [name, load] of Object.entries(BENCHES)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  const { run } = await load();
  await run();
}
