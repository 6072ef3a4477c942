function a(i, j) {
  const ij = i + j;
  return 1.0 / (((ij * (ij + 1)) >> 1) + i + 1);
}

function multiply(x, y, n) {
  for (let i = 0; i < n; i++) {
    let sum = 0.0;
    for (let j = 0; j < n; j++) sum += x[j] * a(i, j);
    y[i] = sum;
  }
}

function multiplyTransposed(x, y, n) {
  for (let i = 0; i < n; i++) {
    let sum = 0.0;
    for (let j = 0; j < n; j++) sum += x[j] * a(j, i);
    y[i] = sum;
  }
}

const n = 300;
const u = new Float64Array(n).fill(1.0);
const v = new Float64Array(n);
const t = new Float64Array(n);
for (let i = 0; i < 10; i++) {
  multiply(u, t, n);
  multiplyTransposed(t, v, n);
  multiply(v, t, n);
  multiplyTransposed(t, u, n);
}
let vbv = 0.0;
let vv = 0.0;
for (let i = 0; i < n; i++) {
  vbv += u[i] * v[i];
  vv += v[i] * v[i];
}
print(Math.sqrt(vbv / vv).toFixed(9));
