local sqrt = math.sqrt
local SUN_MASS = 39.47841760435743
local YEAR = 365.24

local bodies = {
  { x = 0.0, y = 0.0, z = 0.0, vx = 0.0, vy = 0.0, vz = 0.0, mass = SUN_MASS },
  { x = 4.84143144246472090, y = -1.16032004402742839, z = -0.103622044471123109,
    vx = 0.00166007664274403694 * YEAR, vy = 0.00769901118419740425 * YEAR, vz = -0.0000690460016972063023 * YEAR,
    mass = 0.000954791938424326609 * SUN_MASS },
  { x = 8.34336671824457987, y = 4.12479856412430479, z = -0.403523417114321381,
    vx = -0.00276742510726411232 * YEAR, vy = 0.00499852801234917238 * YEAR, vz = 0.0000230417297573763929 * YEAR,
    mass = 0.000285885980666130812 * SUN_MASS },
  { x = 12.8943695621391310, y = -15.1111514016986312, z = -0.223307578892655734,
    vx = 0.00296460137564761618 * YEAR, vy = 0.00237847173959480950 * YEAR, vz = -0.0000296589568540237556 * YEAR,
    mass = 0.0000436624404335156298 * SUN_MASS },
  { x = 15.3796971148509165, y = -25.9193146099879641, z = 0.179258772950371181,
    vx = 0.00268067772490389322 * YEAR, vy = 0.00162824170038242295 * YEAR, vz = -0.0000951592254519715870 * YEAR,
    mass = 0.0000515138902046611451 * SUN_MASS },
}

local function offset_momentum(bodies)
  local px, py, pz = 0.0, 0.0, 0.0
  for i = 1, #bodies do
    local b = bodies[i]
    px = px + b.vx * b.mass
    py = py + b.vy * b.mass
    pz = pz + b.vz * b.mass
  end
  bodies[1].vx = -px / SUN_MASS
  bodies[1].vy = -py / SUN_MASS
  bodies[1].vz = -pz / SUN_MASS
end

local function energy(bodies)
  local e = 0.0
  local n = #bodies
  for i = 1, n do
    local b = bodies[i]
    e = e + 0.5 * b.mass * (b.vx * b.vx + b.vy * b.vy + b.vz * b.vz)
    for j = i + 1, n do
      local c = bodies[j]
      local dx, dy, dz = b.x - c.x, b.y - c.y, b.z - c.z
      e = e - b.mass * c.mass / sqrt(dx * dx + dy * dy + dz * dz)
    end
  end
  return e
end

local function advance(bodies, dt)
  local n = #bodies
  for i = 1, n do
    local b = bodies[i]
    for j = i + 1, n do
      local c = bodies[j]
      local dx, dy, dz = b.x - c.x, b.y - c.y, b.z - c.z
      local d2 = dx * dx + dy * dy + dz * dz
      local mag = dt / (d2 * sqrt(d2))
      local bm, cm = b.mass * mag, c.mass * mag
      b.vx = b.vx - dx * cm
      b.vy = b.vy - dy * cm
      b.vz = b.vz - dz * cm
      c.vx = c.vx + dx * bm
      c.vy = c.vy + dy * bm
      c.vz = c.vz + dz * bm
    end
  end
  for i = 1, n do
    local b = bodies[i]
    b.x = b.x + dt * b.vx
    b.y = b.y + dt * b.vy
    b.z = b.z + dt * b.vz
  end
end

offset_momentum(bodies)
print(string.format("%.9f", energy(bodies)))
for _ = 1, 200000 do advance(bodies, 0.01) end
print(string.format("%.9f", energy(bodies)))
