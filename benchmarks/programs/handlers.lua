local function walk(n)
  local sum = 0
  for i = 0, n - 1 do sum = sum + coroutine.yield(i) end
  return sum
end

local seen = 0
local co = coroutine.create(walk)
local _, value = coroutine.resume(co, 2000000)
while coroutine.status(co) ~= "dead" do
  seen = seen + 1
  _, value = coroutine.resume(co, value * 2 + seen % 3)
end
print(value)
print(seen)
