local function run(n)
  local sum = 0
  for i = 0, n - 1 do
    sum = (sum * 31 + i) % 1000003
  end
  return sum
end

print(run(100000000))
