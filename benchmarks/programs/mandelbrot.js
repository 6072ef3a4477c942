function inside(cr, ci) {
  let zr = 0.0;
  let zi = 0.0;
  let tr = 0.0;
  let ti = 0.0;
  for (let i = 0; i < 50 && tr + ti <= 4.0; i++) {
    zi = 2.0 * zr * zi + ci;
    zr = tr - ti + cr;
    tr = zr * zr;
    ti = zi * zi;
  }
  return tr + ti <= 4.0;
}

const n = 500;
let count = 0;
for (let y = 0; y < n; y++) {
  const ci = (2.0 * y) / n - 1.0;
  for (let x = 0; x < n; x++) {
    if (inside((2.0 * x) / n - 1.5, ci)) count++;
  }
}
print(count);
