function makeText(count) {
  const syllables = ["ka", "to", "mi", "re", "su", "no", "la", "vi"];
  const words = [];
  let seed = 42;
  for (let i = 0; i < count; i++) {
    seed = (seed * 16807) % 2147483647;
    words.push(syllables[(seed >> 16) & 7] + syllables[(seed >> 19) & 7] + syllables[(seed >> 22) & 7]);
  }
  return words.join(" ");
}

const text = makeText(1000000);
const counts = new Map();
for (const word of text.split(" ")) counts.set(word, (counts.get(word) || 0) + 1);
let best = "";
let most = 0;
for (const [word, count] of counts) {
  if (count > most || (count === most && word < best)) {
    best = word;
    most = count;
  }
}
print(`${text.length} ${counts.size} ${best} ${most}`);
