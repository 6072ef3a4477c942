local function make_text(count)
  local syllables = { "ka", "to", "mi", "re", "su", "no", "la", "vi" }
  local words = {}
  local seed = 42
  for i = 1, count do
    seed = seed * 16807 % 2147483647
    local a = seed // 65536 % 8
    local b = seed // 524288 % 8
    local c = seed // 4194304 % 8
    words[i] = syllables[a + 1] .. syllables[b + 1] .. syllables[c + 1]
  end
  return table.concat(words, " ")
end

local text = make_text(1000000)
local counts, distinct = {}, 0
for word in text:gmatch("%S+") do
  local n = counts[word]
  if n then
    counts[word] = n + 1
  else
    counts[word] = 1
    distinct = distinct + 1
  end
end
local best, most = "", 0
for word, count in pairs(counts) do
  if count > most or count == most and word < best then
    best, most = word, count
  end
end
print(string.format("%d %d %s %d", #text, distinct, best, most))
