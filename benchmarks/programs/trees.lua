local function make(depth)
  if depth == 0 then return {} end
  return { make(depth - 1), make(depth - 1) }
end

local function check(tree)
  if tree[1] then return 1 + check(tree[1]) + check(tree[2]) end
  return 1
end

local most = 14
local long_lived = make(most)
local total = 0
for depth = 4, most, 4 do
  local rounds = 1
  for _ = 1, most - depth + 4 do rounds = rounds * 2 end
  for _ = 1, rounds do total = total + check(make(depth)) end
end
print(total + check(long_lived))
