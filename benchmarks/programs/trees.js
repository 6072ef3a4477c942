function make(depth) {
  return depth === 0 ? { left: null, right: null } : { left: make(depth - 1), right: make(depth - 1) };
}

function check(tree) {
  return tree === null ? 0 : 1 + check(tree.left) + check(tree.right);
}

const most = 14;
const longLived = make(most);
let total = 0;
for (let depth = 4; depth <= most; depth += 4) {
  const rounds = 2 ** (most - depth + 4);
  for (let i = 0; i < rounds; i++) total += check(make(depth));
}
print(total + check(longLived));
