def make_text(count):
    syllables = ["ka", "to", "mi", "re", "su", "no", "la", "vi"]
    words = []
    seed = 42
    for _ in range(count):
        seed = seed * 16807 % 2147483647
        words.append(syllables[seed // 65536 % 8] + syllables[seed // 524288 % 8] + syllables[seed // 4194304 % 8])
    return " ".join(words)


text = make_text(1000000)
counts = {}
for word in text.split():
    counts[word] = counts.get(word, 0) + 1
best, most = "", 0
for word, count in counts.items():
    if count > most or (count == most and word < best):
        best, most = word, count
print(len(text), len(counts), best, most)
