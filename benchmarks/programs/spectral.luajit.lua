local function a(i, j)
  local ij = i + j
  return 1.0 / (ij * (ij + 1) / 2 + i + 1)
end

local function multiply(x, y, n)
  for i = 0, n - 1 do
    local sum = 0.0
    for j = 0, n - 1 do sum = sum + x[j + 1] * a(i, j) end
    y[i + 1] = sum
  end
end

local function multiply_transposed(x, y, n)
  for i = 0, n - 1 do
    local sum = 0.0
    for j = 0, n - 1 do sum = sum + x[j + 1] * a(j, i) end
    y[i + 1] = sum
  end
end

local n = 300
local u, v, t = {}, {}, {}
for i = 1, n do u[i], v[i], t[i] = 1.0, 0.0, 0.0 end
for _ = 1, 10 do
  multiply(u, t, n)
  multiply_transposed(t, v, n)
  multiply(v, t, n)
  multiply_transposed(t, u, n)
end
local vbv, vv = 0.0, 0.0
for i = 1, n do
  vbv = vbv + u[i] * v[i]
  vv = vv + v[i] * v[i]
end
print(string.format("%.9f", math.sqrt(vbv / vv)))
