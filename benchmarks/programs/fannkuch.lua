local function fannkuch(n)
  local p, q, s = {}, {}, {}
  for i = 0, n - 1 do p[i], q[i], s[i] = i, 0, i end
  local sign, most, sum = 1, 0, 0
  while true do
    local q0 = p[0]
    if q0 ~= 0 then
      for i = 1, n - 1 do q[i] = p[i] end
      local flips = 1
      while true do
        local qq = q[q0]
        if qq == 0 then
          sum = sum + sign * flips
          if flips > most then most = flips end
          break
        end
        q[q0] = q0
        if q0 >= 3 then
          local i, j = 1, q0 - 1
          while i < j do
            q[i], q[j] = q[j], q[i]
            i = i + 1
            j = j - 1
          end
        end
        q0 = qq
        flips = flips + 1
      end
    end
    if sign == 1 then
      p[0], p[1] = p[1], p[0]
      sign = -1
    else
      p[1], p[2] = p[2], p[1]
      sign = 1
      for i = 2, n - 1 do
        local sx = s[i]
        if sx ~= 0 then
          s[i] = sx - 1
          break
        end
        if i == n - 1 then return sum, most end
        s[i] = i
        local first = p[0]
        for j = 0, i do p[j] = p[j + 1] end
        p[i + 1] = first
      end
    end
  end
end

local sums, most = 0, 0
for _ = 1, 3 do
  local sum, flips = fannkuch(9)
  sums = sums + sum
  most = flips
end
print(string.format("%d %d", sums, most))
