function* walk(n) {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += yield i;
  return sum;
}

let seen = 0;
const generator = walk(2000000);
let step = generator.next();
while (!step.done) {
  seen++;
  step = generator.next(step.value * 2 + (seen % 3));
}
print(step.value);
print(seen);
