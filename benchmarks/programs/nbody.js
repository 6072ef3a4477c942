const SUN_MASS = 39.47841760435743;
const YEAR = 365.24;

const bodies = [
  { x: 0.0, y: 0.0, z: 0.0, vx: 0.0, vy: 0.0, vz: 0.0, mass: SUN_MASS },
  {
    x: 4.84143144246472090, y: -1.16032004402742839, z: -0.103622044471123109,
    vx: 0.00166007664274403694 * YEAR, vy: 0.00769901118419740425 * YEAR, vz: -0.0000690460016972063023 * YEAR,
    mass: 0.000954791938424326609 * SUN_MASS,
  },
  {
    x: 8.34336671824457987, y: 4.12479856412430479, z: -0.403523417114321381,
    vx: -0.00276742510726411232 * YEAR, vy: 0.00499852801234917238 * YEAR, vz: 0.0000230417297573763929 * YEAR,
    mass: 0.000285885980666130812 * SUN_MASS,
  },
  {
    x: 12.8943695621391310, y: -15.1111514016986312, z: -0.223307578892655734,
    vx: 0.00296460137564761618 * YEAR, vy: 0.00237847173959480950 * YEAR, vz: -0.0000296589568540237556 * YEAR,
    mass: 0.0000436624404335156298 * SUN_MASS,
  },
  {
    x: 15.3796971148509165, y: -25.9193146099879641, z: 0.179258772950371181,
    vx: 0.00268067772490389322 * YEAR, vy: 0.00162824170038242295 * YEAR, vz: -0.0000951592254519715870 * YEAR,
    mass: 0.0000515138902046611451 * SUN_MASS,
  },
];

function offsetMomentum(bodies) {
  let px = 0.0;
  let py = 0.0;
  let pz = 0.0;
  for (const b of bodies) {
    px += b.vx * b.mass;
    py += b.vy * b.mass;
    pz += b.vz * b.mass;
  }
  bodies[0].vx = -px / SUN_MASS;
  bodies[0].vy = -py / SUN_MASS;
  bodies[0].vz = -pz / SUN_MASS;
}

function energy(bodies) {
  let e = 0.0;
  const n = bodies.length;
  for (let i = 0; i < n; i++) {
    const b = bodies[i];
    e += 0.5 * b.mass * (b.vx * b.vx + b.vy * b.vy + b.vz * b.vz);
    for (let j = i + 1; j < n; j++) {
      const c = bodies[j];
      const dx = b.x - c.x;
      const dy = b.y - c.y;
      const dz = b.z - c.z;
      e -= (b.mass * c.mass) / Math.sqrt(dx * dx + dy * dy + dz * dz);
    }
  }
  return e;
}

function advance(bodies, dt) {
  const n = bodies.length;
  for (let i = 0; i < n; i++) {
    const b = bodies[i];
    for (let j = i + 1; j < n; j++) {
      const c = bodies[j];
      const dx = b.x - c.x;
      const dy = b.y - c.y;
      const dz = b.z - c.z;
      const d2 = dx * dx + dy * dy + dz * dz;
      const mag = dt / (d2 * Math.sqrt(d2));
      const bm = b.mass * mag;
      const cm = c.mass * mag;
      b.vx -= dx * cm;
      b.vy -= dy * cm;
      b.vz -= dz * cm;
      c.vx += dx * bm;
      c.vy += dy * bm;
      c.vz += dz * bm;
    }
  }
  for (let i = 0; i < n; i++) {
    const b = bodies[i];
    b.x += dt * b.vx;
    b.y += dt * b.vy;
    b.z += dt * b.vz;
  }
}

offsetMomentum(bodies);
print(energy(bodies).toFixed(9));
for (let i = 0; i < 200000; i++) advance(bodies, 0.01);
print(energy(bodies).toFixed(9));
