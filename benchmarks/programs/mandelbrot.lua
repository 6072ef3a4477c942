local function inside(cr, ci)
  local zr, zi, tr, ti = 0.0, 0.0, 0.0, 0.0
  local i = 0
  while i < 50 and tr + ti <= 4.0 do
    zi = 2.0 * zr * zi + ci
    zr = tr - ti + cr
    tr = zr * zr
    ti = zi * zi
    i = i + 1
  end
  return tr + ti <= 4.0
end

local n = 500
local count = 0
for y = 0, n - 1 do
  local ci = 2.0 * y / n - 1.0
  for x = 0, n - 1 do
    if inside(2.0 * x / n - 1.5, ci) then count = count + 1 end
  end
end
print(count)
